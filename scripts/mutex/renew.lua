-- Makes the lease last ttl from now, and mints a new fence base. It confirms a lease that was given to a waiting attempt:
-- known is the base of the push then.
--
-- KEYS: lock, companion, more, queue, alive
-- ARGV: token, ttl, known
--   ttl    ms, from 1
--   known  the newest base the caller has, a string; '0': unknown
-- Reply: the attempt's number, and behind it
--   1, base, ttl, contended  renewed: the new base in µs as a string; the ttl as set, ms; 1 if others wait
--   0                        not held: the lock is gone, or another's, and was not touched
--   2                        revoked: the lease is still the caller's, for what it has left
--
-- Where a pylock's losing GETSET has overwritten the token, it is put back (see stray in shared.lua).
--
-- Safe to run twice: only a caller that knows the last base may shorten the lease; every other call,
-- a late copy of this one too, can only lengthen it; and none does either once it is revoked.

local lock, companion, more, queue, alive = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local token, ttl, base = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local member, attempt = string.sub(token, 13), tonumber(string.sub(token, 33))

local holder = redis.call('GET', lock)
local c = redis.call('GET', companion)
local kept = redis.call('EXISTS', more, queue)
local time = redis.call('TIME')
local us = time[1] * 1000000 + time[2]

-- The way of a quiet key.
if kept == 0 and holder == token and c and string.sub(c, 1, 1) == '2' and string.sub(c, 36, 67) == member
    and (base == 0 or tonumber(string.sub(c, 20, 35)) <= base) then
  local now = string.format('%016.0f', us)
  if string.sub(c, 3, 18) < now then
    if tonumber(string.sub(c, 3, 18)) ~= base then ttl = math.max(ttl, redis.call('PTTL', lock)) end
    redis.call('PEXPIRE', lock, ttl)
    redis.call('SET', companion, '20' .. now .. '+' .. string.sub(c, 20), 'PX', ttl + 60000)
    return {attempt, 1, now, ttl, 0}
  end
end

-- shared.lua

local k = known(lock, companion, more, queue, alive, c, kept, member, us)
local lease, left = stray(k, holder)
if lease and lease == member then
  restore(k, lease, left)
  holder = token
end
-- A lease that began after the newest base of the caller's is a later one of the same attempt: the caller's own was lost
-- early (a failover, a deletion by hand), and a late copy of the acquire took the key anew. Others may have had it
-- in between, with higher fences.
if holder ~= token or base ~= 0 and k.lease == member and math.abs(k.first) > base then
  -- A caller that is told so must not have it back later. But the companion goes on naming the lease: this answer may be lost,
  -- and then its holder believes in it until its end, so that no left-over may be taken over before.
  if k.over and k.mend == member then
    k.mend = NOBODY
    note(k, 'over', column(k.over) .. NOBODY)
  end
  if kept > 0 or c and string.sub(c, 2, 2) == '1' then seal(k, ours(holder)) end
  return {attempt, 0}
end
if revokes(k, member) then return {attempt, 2} end
if k.last == 0 or k.last ~= base then ttl = math.max(ttl, redis.call('PTTL', lock)) end
redis.call('PEXPIRE', lock, ttl)
if k.lease ~= member then k.first, k.label = 0, '' end -- the companion was evicted
names(k, member)
local _, contended = seal(k, member, keep(k, ttl))
return {attempt, 1, column(k.last), ttl, contended}
