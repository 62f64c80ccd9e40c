-- Gives the lease back: to the first live session in the queue, or to nobody.
--
-- KEYS: lock, companion, queue, alive
-- ARGV: token, push
--   push  '1': the script publishes what sessions are told; '0': the reply has one more element, {session,
--         message, session, message, …}, which the caller publishes (see tell in shared.lua)
-- Reply:
--   {1, given}  released: given is 1 if the lock went straight to a waiting session
--   {0}         not held: the lock is gone, or another's, and was not touched
--
-- A lease whose token a pylock's losing GETSET has overwritten is given back as well (see stray in shared.lua).
--
-- Safe to run twice: the second time the token is no longer there. Either way the attempt is settled:
-- a copy of its acquire that arrives later does nothing.

local lock, companion, queue, alive = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local token, unsent = ARGV[1], ARGV[2] == '0' and {} or nil
local member = string.sub(token, #STAMP + 1)

local c = redis.call('HMGET', companion, 'last', 'queued', 'settled:' .. string.sub(member, 1, 20))
local last, queued, settled = c[1], c[2], c[3]
local us = micros()

-- The lock goes first: on a server whose memory is full, a script may write what takes memory only after a
-- write that takes none, and a release must not wait until others let go of memory.
local given
local holder = redis.call('GET', lock)
if holder == token or stray(lock, companion, holder, us) == member then
  given = pass(lock, companion, queue, alive, queued, last, us, unsent)
end
if queued then
  -- A late copy of this attempt's acquire may have queued it after its lease had ended.
  redis.call('ZREM', queue, member)
  redis.call('ZREM', alive, member)
end
settle(companion, member, settled, us)
stay(companion, member, given, last, us)
if given then return {1, given, unsent} end
return {0, unsent}
