-- Makes a share last ttl from now, and mints a new fence base. Makes a share of a lock, if kind says so.
--
-- KEYS: lock, companion, more, queue, alive, holders, shares
-- ARGV: token, ttl, known, push, kind, n, keep
--   ttl, known  as those of ../mutex/renew.lua
--   push        '1': the script publishes what sessions are told; '0': the reply has one more element, {session,
--               message, session, message, …}, which the caller publishes (see tell in queue.lua)
--   kind        's' or 'p': what a lock becomes by this call; 'x': it stays one. A share stays what it is
--   n           what inspect tells of how many permits there are, where a lock becomes permits; else 0
--   keep        how many permits the share keeps, from 1; it never has more than before
-- Reply: the attempt's number, and behind it
--   1, base, ttl, contended, kind, permits  renewed: as by ../mutex/renew.lua; what it is, and how many permits it has
--   0                                       not held: it is gone, or began after the newest base that the caller knows
--   2                                       revoked: it is still the caller's, for what it has left
--
-- Safe to run twice: only a caller that knows the newest base may shorten a share; every other call, a late copy of this one
-- too, can only lengthen it; and none does either once it is revoked. Permits only go down. A lock that is a share by now is
-- found as that. Nothing makes a lock of a share.

local lock, companion, more, queue, alive, holders, shares = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local token, ttl, base, kind, kept = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[5], tonumber(ARGV[7])
local unsent = ARGV[4] == '0' and {} or nil
local member, attempt = string.sub(token, 13), tonumber(string.sub(token, 33))

local holder = redis.call('GET', lock)
local c = redis.call('GET', companion)
local time = redis.call('TIME')

-- shared.lua

local k = known(lock, companion, more, queue, alive, c, redis.call('EXISTS', more, queue), member, time[1] * 1000000 + time[2])
local lease, left = stray(k, holder)
if lease and (lease == member or string.sub(lease, 1, 20) == NOONE) then
  restore(k, lease, left)
  holder = STAMP .. lease
end
count(k, holder, holders, shares)

local own = k.of and share(k, member)
local permits, most, first, newest, rest = read(own or '')
if own and (base == 0 or first <= base) then
  if string.sub(rest, 1, 1) == '1' then return {attempt, 2, unsent} end
  if newest ~= base then ttl = math.max(ttl, redis.call('ZSCORE', holders, member) - k.now) end
  local fewer = permits - kept
  if fewer > 0 then
    permits = kept
    k.out = math.max(0, k.out - fewer)
  end
  put(k, member, permits, most, first, rest, k.now + ttl)
  if fewer > 0 then wake(k, HEADS, unsent) end
  seal(k, k.marker, k.lasts)
  return {attempt, 1, column(k.last), ttl, contended(k, member), k.of, permits, unsent}
end

-- As ../mutex/renew.lua: see there.
if own or holder ~= token or base ~= 0 and k.lease == member and math.abs(k.first) > base then
  if k.over and k.mend == member then
    k.mend = NOBODY
    note(k, 'over', column(k.over) .. NOBODY)
  end
  seal(k, ours(holder))
  return {attempt, 0, unsent}
end
if revokes(k, member) then return {attempt, 2, unsent} end
if kind ~= 'x' then
  local label = k.lease == member and k.label or ''
  redis.call('PEXPIRE', lock, ttl) -- takes no memory: see restore
  if kind ~= 'p' then kept = 1 end
  make(k, holder, member, kind, kept, tonumber(ARGV[6]), label, ttl, unsent)
  seal(k, k.marker, k.lasts)
  return {attempt, 1, column(k.last), ttl, contended(k, member), kind, kept, unsent}
end
if k.last == 0 or k.last ~= base then ttl = math.max(ttl, redis.call('PTTL', lock)) end
redis.call('PEXPIRE', lock, ttl)
if k.lease ~= member then k.first, k.label = 0, '' end -- the companion was evicted
names(k, member)
seal(k, member, keep(k, ttl))
return {attempt, 1, column(k.last), ttl, contended(k, member), 'x', 1, unsent}
