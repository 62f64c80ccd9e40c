-- Ends an attempt that nobody awaits any more: it leaves the queue, and gives the lock back if the
-- attempt had just been granted it.
--
-- KEYS: lock, companion, more, queue, alive
-- ARGV: token, mark, push
--   mark  '1': the attempt is settled, so that a copy of its acquire that arrives later does nothing; '0': there is
--         no such copy, since every request of the attempt was answered, as was each of its session on this key
--         within the last 60 s
--   push  '1': the script publishes what sessions are told; '0': the reply has one more element, {session,
--         message, session, message, …}, which the caller publishes (see tell in queue.lua)
-- Reply: the attempt's number, and behind it
--   held, quiet  held: 1 if the attempt had the lock, which is now the next session's or nobody's; else 0. quiet: 1
--                if the key is quiet now, so that the fast path would do
--
-- Safe to run twice: the second time there is nothing left to undo.

local lock, companion, more, queue, alive = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local token, mark, unsent = ARGV[1], ARGV[2] ~= '0', ARGV[3] == '0' and {} or nil

local holder = redis.call('GET', lock)
local c = redis.call('GET', companion)
local kept = redis.call('EXISTS', more, queue)
local time = redis.call('TIME')

-- shared.lua

local k = known(lock, companion, more, queue, alive, c, kept, string.sub(token, 13), time[1] * 1000000 + time[2])
local held, _, quiet = finish(k, holder, token, mark, unsent)
return {tonumber(string.sub(token, 33)), held, quiet, unsent}
