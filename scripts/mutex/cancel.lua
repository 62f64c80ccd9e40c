-- Ends an attempt that nobody awaits any more: it leaves the queue, and gives the lock back if the
-- attempt had just been granted it.
--
-- KEYS: lock, companion, queue, alive
-- ARGV: token, push
--   push  '1': the script publishes what sessions are told; '0': the reply has one more element, {session,
--         message, session, message, …}, which the caller publishes (see tell in shared.lua)
-- Reply:
--   {held}  1 if the attempt had the lock, which is now the next session's or nobody's; else 0
--
-- Safe to run twice: the second time there is nothing left to undo. The attempt is settled: a copy of its
-- acquire that arrives later does nothing.

local lock, companion, queue, alive = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local token, unsent = ARGV[1], ARGV[2] == '0' and {} or nil
local member = string.sub(token, #STAMP + 1)

local c = redis.call('HMGET', companion, 'last', 'queued', 'settled:' .. string.sub(member, 1, 20))
local last, queued, settled = c[1], c[2], c[3]
local us = micros()
if queued then
  redis.call('ZREM', queue, member)
  redis.call('ZREM', alive, member)
end

local given
local holder = redis.call('GET', lock)
if holder == token or stray(lock, companion, holder, us) == member then
  given = pass(lock, companion, queue, alive, queued, last, us, unsent)
end
settle(companion, member, settled, us)
stay(companion, member, given, last, us)
return {given and 1 or 0, unsent}
