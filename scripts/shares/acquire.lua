-- Makes one attempt to get a share of the lock, or the lock. An attempt that wants the lock is made by this script where
-- shares are out, and so is one that may have become a share.
--
-- KEYS: lock, companion, more, queue, alive, holders, shares
-- ARGV: token, ttl, label, wait, ask, alive, push, kind, n, want
--   token … push  as those of ../mutex/acquire.lua
--   kind   'x' the lock; 's' a share beside other shares; 'p' permits
--   n      of permits: how many the caller says there are, 1 to 10000; else 0
--   want   of permits: how many it can use, 1 to 64, and no more than n; else 0
-- Reply: the attempt's number, and behind it
--   1, base, ttl, contended, quiet, kind, permits
--            granted: as by ../mutex/acquire.lua; what it has, and how many permits, which are want or fewer, 1 of what is
--            none. A lock that was given to an attempt which wants a share is a share now, unless it is revoked
--   0, label, held, free, place, foreign, kind, out
--            held by others: as by ../mutex/acquire.lua; 'x' and 0, or the kind of the shares that are out and the sum
--            of their permits. label is that of one holder then, held since when the first of them came, and
--            free, where permits are out and wanted, when the first share ends, at which its permits are free
--   -1       the attempt was settled before: nothing was done
--
-- Safe to run twice: a repeated attempt finds its share, or its place, and says so again. The share is only ever lengthened,
-- unless it is revoked, and does not grow. A copy that is delivered after the attempt was released or cancelled finds it
-- settled. One that is delivered after the share was lost, and takes it anew, is found out by the next renewal.

local lock, companion, more, queue, alive, holders, shares = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local token, ttl, label, wait = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4] ~= '0'
local kind, n, want = ARGV[8], tonumber(ARGV[9]), tonumber(ARGV[10])
local unsent = ARGV[7] == '0' and {} or nil
local member, attempt = string.sub(token, 13), tonumber(string.sub(token, 33))

local c = redis.call('GET', companion)
local kept = redis.call('EXISTS', more, queue)
local time = redis.call('TIME')
local us = time[1] * 1000000 + time[2]

-- shared.lua

local k = known(lock, companion, more, queue, alive, c, kept, member, us)
if k.settled and string.sub(k.settled, 1, 12) >= string.sub(member, 21) then return {attempt, -1, unsent} end

local silent = wait and ARGV[4] ~= '1'
local locked, again = false, false -- the lock is the attempt's; it was so before
local permits, lasts               -- of its share; ms that its lock has after this call
local free, ms
local holder = redis.call('GET', lock)
local lease, left, stamp = stray(k, holder)
if lease then
  holder = STAMP .. lease
  restore(k, lease, left)
elseif stamp and stamp < us / 1000000 and not guarded(k, member) then
  redis.call('DEL', lock)
  holder = false
  takeOver(k)
end
count(k, holder, holders, shares)

if holder == token then
  local rest = redis.call('PTTL', lock)
  local revoked = revokes(k, member)
  if kind == 'x' or revoked then
    locked, again = true, revoked or k.lease == member and k.first ~= 0
    if revoked then ttl = math.max(1, rest) end
    lasts = math.max(ttl, rest)
    if not revoked and lasts > rest then redis.call('PEXPIRE', lock, ARGV[2]) end
  else
    permits = kind == 'p' and math.min(want, n) or 1
    redis.call('PEXPIRE', lock, ARGV[2]) -- takes no memory: see restore
    make(k, holder, member, kind, permits, n, label, ttl, unsent)
  end
elseif not holder then
  local front, rest, polls, asked = nil, false, nil, nil
  if k.queued then front, rest, polls, asked = head(k) end
  if front and front ~= member and (silent or polls ~= 'early') then
    free = give(k, front, polls, asked, unsent)
    holder, ms = STAMP .. front, keep(k, free)
  elseif rest then
    free, k.waits = 0, true
  elseif kind == 'x' then
    if k.last > 0 or k.queued then leave(k, member) end
    redis.call('SET', lock, token, 'PX', ARGV[2])
    locked, lasts = true, ttl
  else
    permits = kind == 'p' and math.min(want, n) or 1
    make(k, nil, member, kind, permits, n, label, ttl, unsent)
  end
elseif k.of then
  local own = share(k, member)
  if own then
    -- The answer was lost, or this copy is late.
    local ends = tonumber(redis.call('ZSCORE', holders, member))
    local its, most, first, _, rest = read(own)
    if string.sub(rest, 1, 1) == '1' then ttl = math.max(1, ends - k.now) end
    permits = its
    leave(k, member)
    put(k, member, permits, most, first, rest, math.max(ends, k.now + ttl))
  else
    permits = fits(k, member, kind, n, want, not silent)
    if permits > 0 then
      add(k, member, permits, n, nil, label, ttl, unsent)
    else
      permits = nil
    end
  end
end

if locked then
  names(k, member)
  if not again then k.first = k.last end
  k.label = label
  if k.queued then leave(k, member) end
  local quiet = seal(k, member, keep(k, lasts))
  return {attempt, 1, column(k.last), ttl, contended(k, member), quiet, 'x', 1, unsent}
elseif permits then
  local quiet = seal(k, k.marker, k.lasts)
  return {attempt, 1, column(k.last), ttl, contended(k, member), quiet, k.of, permits, unsent}
end

local owner, place = ours(holder), 0
if not free then
  free = redis.call('PTTL', lock)
  if kind == 'p' and k.of == 'p' and k.there then free = math.max(1, k.ends - k.now) end
end
if wait then
  local said = kind == 'x' and 'x0000000' or kind .. string.format('%05.0f%02.0f', n, want)
  place = enqueue(k, ARGV[4], tonumber(ARGV[6]), tonumber(ARGV[5]), said, label)
  if k.of then
    if place == 1 and k.there then tellHolders(k, unsent) end
  elseif owner then
    tell(unsent, string.sub(owner, 1, 20), 'w' .. lock)
  end
end
if wait or ms or kept > 0 or c and string.sub(c, 2, 2) == '1' then seal(k, owner, ms) end
if holder == REST then return {attempt, 0, k.label, -1, free, place, 0, 'x', 0, unsent} end
if not owner then return {attempt, 0, '', -1, free, place, (holder and 1 or 0), 'x', 0, unsent} end
if k.of then
  local one = k.there and redis.call('ZRANGE', holders, 0, 0)[1]
  local said = one and redis.call('HGET', shares, one) or ''
  return {attempt, 0, string.sub(said, 44), since(k, owner), free, place, 0, k.of, k.out, unsent}
end
return {attempt, 0, k.lease == owner and k.label or '', since(k, owner), free, place, 0, 'x', 0, unsent}
