-- Gives the lease back: to the first live session in the queue, or to nobody.
--
-- KEYS: lock, companion, queue, alive
-- ARGV: token
-- Reply:
--   {1, given}  released: given is 1 if the lock went straight to a waiting session
--   {0}         not held: the lock is gone, or another's, and was not touched
--
-- Safe to run twice: the second time the token is no longer there. Either way the attempt is settled:
-- a copy of its acquire that arrives later does nothing.

local lock, companion, queue, alive = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local token = ARGV[1]
local member = string.sub(token, #STAMP + 1)

local c = redis.call('HMGET', companion, 'last', 'queued', 'settled:' .. string.sub(member, 1, 20))
local last, queued, settled = c[1], c[2], c[3]
local us = micros()
settle(companion, member, settled, us)

local reply = {0}
if redis.call('GET', lock) == token then
  reply = {1, pass(lock, companion, queue, alive, queued, last, us)}
  if reply[2] == 0 then redis.call('PEXPIRE', companion, keep(0, tonumber(last or '0'), us)) end
elseif not last then
  redis.call('PEXPIRE', companion, digits(KEEP))
end
return reply
