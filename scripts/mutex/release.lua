-- Gives the lease back: to the first live session in the queue, or to nobody.
--
-- KEYS: lock, companion, more, queue, alive
-- ARGV: token, mark, push
--   mark  '1': the attempt is settled, so that a copy of its acquire that arrives later does nothing; '0': there is
--         no such copy, since every request of the attempt was answered, as was each of its session on this key
--         within the last 60 s
--   push  '1': the script publishes what sessions are told; '0': the reply has one more element, {session,
--         message, session, message, …}, which the caller publishes (see tell in queue.lua)
-- Reply: the attempt's number, and behind it
--   1, given, quiet  released: given is 1 if the lock went straight to a waiting session; quiet is 1 if the key is
--                    quiet now, so that the fast path would do
--   0, quiet         not held: the lock is gone, or another's, and was not touched
--
-- A lease whose token a pylock's losing GETSET has overwritten is given back as well (see stray in shared.lua).
--
-- Safe to run twice: the second time the token is no longer there.

local lock, companion, more, queue, alive = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local token, mark, unsent = ARGV[1], ARGV[2] ~= '0', ARGV[3] == '0' and {} or nil
local member, attempt = string.sub(token, 13), tonumber(string.sub(token, 33))

local holder = redis.call('GET', lock)
local c = redis.call('GET', companion)
local kept = redis.call('EXISTS', more, queue)
local time = redis.call('TIME')
local us = time[1] * 1000000 + time[2]

-- The way of a quiet key. The lease's name goes, or a pylock's left-over would have to wait for its end.
if not mark and kept == 0 and holder == token and c and #c >= 67 and string.sub(c, 1, 1) == '2'
    and string.sub(c, 19, 19) == '+' and string.sub(c, 3, 18) < string.format('%016.0f', us) then
  redis.call('DEL', lock)
  redis.call('SET', companion, '20' .. string.sub(c, 3, 35) .. '                                ', 'PX', '60000')
  return {attempt, 1, 0, 1, unsent}
end

-- shared.lua

local k = known(lock, companion, more, queue, alive, c, kept, member, us)
local had, given, quiet = finish(k, holder, token, mark, unsent)
if had == 1 then return {attempt, 1, given, quiet, unsent} end
return {attempt, 0, quiet, unsent}
