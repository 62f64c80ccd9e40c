-- Makes one attempt to take the lock, or confirms a lease that release gave to this attempt.
--
-- KEYS: lock, companion, more, queue, alive
-- ARGV: token, ttl, label, wait, ask, alive, push
--   ttl    ms, from 1
--   wait   '1': on a held key the attempt is queued, or kept alive there; '2': so it is, as poll-only, since
--          its session hears no pushes (see queue.lua); '3': as '2', and it asks seldom; '0': one try, no trace
--   ask    the number of this request, random, below 2^53, which the push echoes that tells of a lease given to the
--          attempt; '0': none, and the push only says that there is something to ask for
--   alive  ms, 1 to 99999999: for how long this request keeps a waiting attempt in the queue, and how long a lease
--          lasts that is given to it, until it is confirmed
--   push   '1': the script publishes what sessions are told; '0': the reply has one more element, {session,
--          message, session, message, …}, which the caller publishes (see tell in queue.lua)
-- Reply: the attempt's number, and behind it
--   1, base, ttl, contended, quiet        granted: the fence base in µs as a string; ms, as asked for, but of a
--                                         revoked lease no more than it has left; 1 if others wait; 1 if the key is
--                                         quiet now, so that the fast path would do
--   0, label, held, free, place, foreign  held by another: its label, '' if unknown; ms it has had the lock,
--                                         -1 if unknown; ms until it ends, -1 if never, 0 if the lock is free
--                                         and whose turn it is will show at the next call; our place in the queue, 0 if not queued; 1 if the
--                                         holder is another library's client
--   -1                                    the attempt was settled before: nothing was done
--   -2                                    shares of the lock are out, and nothing was done: ../shares/acquire.lua does it
--
-- Safe to run twice: a repeated attempt finds its own token under the lock and says so again (the ttl is
-- only ever lengthened, unless the lease is revoked), or its own place in the queue. A copy that is delivered
-- after the attempt was released or cancelled finds it settled.

local lock, companion, more, queue, alive = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local token, ttl, label, wait = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4] ~= '0'
local unsent = ARGV[7] == '0' and {} or nil
local member, attempt = string.sub(token, 13), tonumber(string.sub(token, 33))

local c = redis.call('GET', companion)
local kept = redis.call('EXISTS', more, queue)
local time = redis.call('TIME')
local us = time[1] * 1000000 + time[2]

-- The way of a quiet key: a free lock is ours. Whether there is anything to remember is told by what is there.
if kept == 0 then
  local now = string.format('%016.0f', us)
  if not c or #c >= 67 and string.sub(c, 1, 1) == '2' and string.sub(c, 19, 19) == '+' and string.sub(c, 3, 18) < now then
    local set = redis.pcall('SET', lock, token, 'NX', 'PX', ARGV[2])
    if set and set.ok then
      redis.call('SET', companion, '20' .. now .. '+' .. now .. member .. label, 'PX', ttl + 60000)
      return {attempt, 1, now, ttl, 0, 1, unsent}
    elseif set and not string.find(set.err, 'OOM ', 1, true) then
      -- A server whose memory is full refuses this before it looks whether the lock is free. One that is held can be
      -- waited for: its holder has to learn of it, or it would hand the lock on among its own callers for ever.
      redis.call('SET', lock, token, 'NX', 'PX', ARGV[2])
    end
  end
end

-- shared.lua

local k = known(lock, companion, more, queue, alive, c, kept, member, us)
if k.settled and string.sub(k.settled, 1, 12) >= string.sub(member, 21) then return {attempt, -1, unsent} end

local silent = wait and ARGV[4] ~= '1'
local granted, again = false, false -- again: the lease is ours since an earlier call
local lasts = ttl -- ms that the lock has after this call, if it is ours
local free, ms -- until the lock ends, where it is known without asking; what the companion lasts, if that changes
local holder = redis.call('GET', lock)
local lease, left, stamp = stray(k, holder)
if lease then
  -- The first to come puts it right: this attempt's own lease, or that of the one it has to wait for.
  holder = STAMP .. lease
  restore(k, lease, left)
elseif stamp and stamp < us / 1000000 and not guarded(k, member) then
  -- A crashed pylock left this behind: a time in the past, and no ttl that would ever clear it away.
  -- Nothing else does: somebody's SET NX of a plain '1' is a lock, not a time.
  redis.call('DEL', lock)
  holder = false
  takeOver(k)
end
if holder and string.sub(holder, 1, 32) == STAMP .. NOONE then return {attempt, -2, unsent} end
if holder == token then
  local rest = redis.call('PTTL', lock)
  local revoked = revokes(k, member) -- as far as is known, if the companion was evicted: first stays unknown then
  again = revoked or k.lease == member and k.first ~= 0
  if revoked then
    -- A caller that repeats this does not know that it has the lease, or this copy is late and it does. So it is
    -- neither lengthened nor ended: the first renewal tells.
    ttl = math.max(1, rest)
    lasts = ttl
  else
    lasts = math.max(ttl, rest) -- renewed meanwhile: the companion lasts with it
    if lasts == ttl then redis.call('PEXPIRE', lock, ARGV[2]) end
  end
  granted = true
elseif not holder then
  local front, rest, polls, asked = nil, false, nil, nil
  if k.queued then front, rest, polls, asked = head(k) end
  if front and front ~= member and (silent or polls ~= 'early') then
    -- A free lock goes to the head of the queue, whoever calls.
    free = give(k, front, polls, asked, unsent)
    holder, ms = STAMP .. front, keep(k, free)
  elseif rest then
    free, k.waits = 0, true
  else
    -- On a server whose memory is full a key that nobody used lately is refused. One that was used
    -- goes on, by a write before SET that takes no memory: or a hot key could be taken by nobody once it was free.
    if k.last > 0 or k.queued then leave(k, member) end
    redis.call('SET', lock, token, 'PX', ARGV[2])
    granted = true
  end
end

if granted then
  names(k, member)
  if not again then k.first = k.last end
  k.label = label
  if k.queued then leave(k, member) end
  local quiet, contended = seal(k, member, keep(k, lasts))
  return {attempt, 1, column(k.last), ttl, contended, quiet, unsent}
end

local owner, place = ours(holder), 0
if not free then free = redis.call('PTTL', lock) end
if wait then
  place = enqueue(k, ARGV[4], tonumber(ARGV[6]), tonumber(ARGV[5]), 'x0000000', label)
  if owner then
    tell(unsent, string.sub(owner, 1, 20), 'w' .. lock)
  end
end
if wait or ms or kept > 0 or c and string.sub(c, 2, 2) == '1' then seal(k, owner, ms) end
if holder == REST then return {attempt, 0, k.label, -1, free, place, 0, unsent} end
if not owner then return {attempt, 0, '', -1, free, place, (holder and 1 or 0), unsent} end
return {attempt, 0, k.lease == owner and k.label or '', since(k, owner), free, place, 0, unsent}
