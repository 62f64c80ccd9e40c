-- Gives the lease back, and keeps the lock from everybody for a while: nobody has it until then.
--
-- KEYS: lock, companion, more, queue, alive
-- ARGV: token, mark, push, rest
--   mark  '1': the attempt is settled, so that a copy of its acquire that arrives later does nothing; '0': there is
--         no such copy, since every request of the attempt was answered, as was each of its session on this key
--         within the last 60 s
--   push  '1': the script publishes what sessions are told; '0': the reply has one more element, {session,
--         message, session, message, …}, which the caller publishes (see tell in queue.lua)
--   rest  ms from now, from 1
-- Reply: the attempt's number, and behind it
--   1, given, quiet  released: the lock rests, and given is 0; or its lease was revoked, and it goes on as by release
--   0, quiet         not held: the lock is gone, or another's, and was not touched
--
-- Under the lock stands REST, which is nobody's token: no compare-and-delete ends a rest, no renewal prolongs it, and
-- a pylock reads it as a time in 2100. Who waits keeps its place, and asks again when the rest is over.
--
-- Safe to run twice: the second time the token is no longer there.

local lock, companion, more, queue, alive = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local token, mark, unsent = ARGV[1], ARGV[2] ~= '0', ARGV[3] == '0' and {} or nil
local member, attempt = string.sub(token, 13), tonumber(string.sub(token, 33))

local holder = redis.call('GET', lock)
local c = redis.call('GET', companion)
local kept = redis.call('EXISTS', more, queue)
local time = redis.call('TIME')

-- shared.lua

local k = known(lock, companion, more, queue, alive, c, kept, member, time[1] * 1000000 + time[2])
if holder ~= token and stray(k, holder) ~= member or revokes(k, member) then
  local had, given, quiet = finish(k, holder, token, mark, unsent)
  if had == 1 then return {attempt, 1, given, quiet, unsent} end
  return {attempt, 0, quiet, unsent}
end
local label = k.label
if k.queued then leave(k, member) end
redis.call('DEL', lock) -- before SET: see restore
redis.call('SET', lock, REST, 'PX', ARGV[4])
if mark then settle(k, member, k.settled) end
forget(k, member)
k.lease, k.label = member, label
local quiet = seal(k, nil, keep(k, tonumber(ARGV[4])))
return {attempt, 1, 0, quiet, unsent}
