-- Makes the lease last ttl from now, and mints a new fence base.
--
-- KEYS: lock, companion, queue, alive
-- ARGV: token, ttl, known
--   ttl    ms, from 1
--   known  the newest base the caller has, a string
-- Reply:
--   {1, base, ttl, contended}  renewed: the new base in µs as a string; the ttl as set, ms; 1 if others wait
--   {0}                        not held: the lock is gone, or another's, and was not touched
--   {2}                        revoked: the lease is still the caller's, for what it has left
--
-- Where a pylock's losing GETSET has overwritten the token, it is put back (see stray in shared.lua).
--
-- Safe to run twice: only a caller that knows the last base may shorten the lease; every other call,
-- a late copy of this one too, can only lengthen it; and none does either once it is revoked.

local lock, companion, queue, alive = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local token, ttl, known = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local member = string.sub(token, #STAMP + 1)
local holder = redis.call('GET', lock)
local us = micros()
if holder ~= token then
  local lease, left = stray(lock, companion, holder, us)
  if lease ~= member then
    -- Who is told so must not have it back later.
    if redis.call('HGET', companion, 'lease') == member then redis.call('HDEL', companion, 'lease') end
    return {0}
  end
  redis.call('DEL', lock) -- before SET: see release on a full server
  redis.call('SET', lock, token, 'PX', digits(left))
end

local c = redis.call('HMGET', companion, 'last', 'queued', 'revoked', 'first')
local last, queued, revoked = c[1], c[2], c[3]
if revoked and revoked == (c[4] or member) then return {2} end
if last ~= known then ttl = math.max(ttl, redis.call('PTTL', lock)) end
redis.call('PEXPIRE', lock, digits(ttl))

local base, contended = mint(last, us), 0
redis.call('HSET', companion, 'v', '1', 'last', digits(base))
redis.call('PEXPIRE', companion, keep(ttl, base, us))
if queued then
  local first, more = head(queue, alive, us)
  if first or more then contended = 1 else redis.call('HDEL', companion, 'queued') end
end
return {1, digits(base), ttl, contended}
