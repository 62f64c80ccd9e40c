-- Ends an attempt: a share or a lock that it has goes back, and it leaves the queue. It is release and cancel.
--
-- KEYS: lock, companion, more, queue, alive, holders, shares
-- ARGV: token, mark, push
--   mark, push  as those of ../mutex/release.lua
-- Reply: the attempt's number, and behind it
--   had, given, quiet  had: 1 if it had something, which is no longer its own; else 0. given: 1 if the lock went straight to
--                      a waiting session. quiet: 1 if the key is quiet now, so that the fast path would do
--
-- With the last share the marker ends. A share goes back also where a pylock has overwritten the marker, which may be
-- put back later.
--
-- Safe to run twice: the second time there is nothing left to undo.

local lock, companion, more, queue, alive, holders, shares = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local token, mark, unsent = ARGV[1], ARGV[2] ~= '0', ARGV[3] == '0' and {} or nil
local member, attempt = string.sub(token, 13), tonumber(string.sub(token, 33))

local holder = redis.call('GET', lock)
local c = redis.call('GET', companion)
local time = redis.call('TIME')

-- shared.lua

local k = known(lock, companion, more, queue, alive, c, redis.call('EXISTS', more, queue), member, time[1] * 1000000 + time[2])
local lease, left = stray(k, holder)
if holder == token or lease == member then
  local had, given, quiet = finish(k, holder, token, mark, unsent)
  return {attempt, had, given, quiet, unsent}
end
if k.queued then leave(k, member) end
if lease and string.sub(lease, 1, 20) == NOONE then
  restore(k, lease, left)
  holder = STAMP .. lease
end
count(k, holder, holders, shares)

local own = share(k, member)
local given, ms
if own then drop(k, member) end
if own and k.of then
  given, ms = ended(k, unsent)
  holder = given and STAMP .. given or k.there and holder
elseif own and longest(k) == 0 then
  redis.call('DEL', shares)
  if k.lease and string.sub(k.lease, 1, 20) == NOONE then
    if not holder then ms = keep(k, 0) end
    forget(k, k.lease)
  end
  if k.over and string.sub(k.mend, 1, 20) == NOONE then forget(k, k.mend) end
elseif k.of then
  wake(k, HEADS, unsent) -- it may have stood in the way of those behind it
end
if mark then settle(k, member, k.settled) end
if k.lease == member and not holder then ms = keep(k, 0) end
forget(k, member)
local quiet = seal(k, ours(holder), ms)
return {attempt, own and k.of and 1 or 0, given and 1 or 0, quiet, unsent}
