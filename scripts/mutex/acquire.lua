-- Makes one attempt to take the lock, or confirms a lease that release gave to this attempt.
--
-- KEYS: lock, companion, queue, alive
-- ARGV: token, ttl, label, wait, push
--   ttl    ms, from 1
--   wait   '1': on a held key the attempt is queued, or kept alive there; '2': so it is, as poll-only, since
--          its session hears no pushes (see shared.lua); '3': as '2', and it asks seldom; '0': one try, no trace
--   push   '1': the script publishes what sessions are told; '0': the reply has one more element, {session,
--          message, session, message, …}, which the caller publishes (see tell in shared.lua)
-- Reply:
--   {1, base, ttl, contended}              granted: the fence base in µs as a string; ms, as asked for, but of a
--                                          revoked lease no more than it has left; 1 if others wait
--   {0, label, held, free, place, foreign} held by another: its label, '' if unknown; ms it has had the lock,
--                                          -1 if unknown; ms until it ends, -1 if never, 0 if the lock is free
--                                          and whose turn it is will show at the next call; our place in the queue, 0 if not queued; 1 if the
--                                          holder is another library's client
--   {-1}                                   the attempt was settled before: nothing was done
--
-- Safe to run twice: a repeated attempt finds its own token under the lock and says so again (the ttl is
-- only ever lengthened, unless the lease is revoked), or its own place in the queue. A copy that is delivered
-- after the attempt was released or cancelled finds it settled.

local lock, companion, queue, alive = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local token, ttl, label, wait = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4] ~= '0'
local silent = wait and ARGV[4] ~= '1'
local unsent = ARGV[5] == '0' and {} or nil
local member = string.sub(token, #STAMP + 1)
local session, attempt = string.sub(member, 1, 20), string.sub(member, 21)

local c = redis.call('HMGET', companion, 'last', 'queued', 'settled:' .. session, 'label', 'first')
local last, queued, settled, owner, first = c[1], c[2], c[3], c[4], c[5]
if settled and string.sub(settled, 1, 12) >= attempt then return {-1, unsent} end

local us = micros()
local granted, holder = false, nil
local lasts = ttl -- ms that the lock has after this call, if it is ours
local free -- ms, where it is known without asking
local again = false -- the lease is ours since an earlier call

if not queued then
  -- The thin path: nobody waits, so a free lock is ours.
  granted = redis.pcall('SET', lock, token, 'NX', 'PX', ARGV[2])
  if granted and granted.err then
    -- A server whose memory is full refuses this before it looks whether the lock is free. One that is held can be
    -- waited for: its holder has to learn of it, or it would hand the lock on among its own callers for ever.
    if not string.find(granted.err, 'OOM ', 1, true) then redis.call('SET', lock, token, 'NX', 'PX', ARGV[2]) end
    granted = false
  end
end
if not granted then
  holder = redis.call('GET', lock)
  local lease, left, stamp = stray(lock, companion, holder, us)
  if lease then
    -- Whoever comes first puts it right: this attempt's own lease, or that of the one it has to wait for.
    holder = STAMP .. lease
    redis.call('DEL', lock) -- before SET: see release on a full server
    redis.call('SET', lock, holder, 'PX', digits(left))
  elseif stamp and stamp < us / 1000000 then
    -- What a crashed pylock leaves behind: a time in the past, and no ttl that would ever clear it away.
    -- Nothing else does: somebody's SET NX of a plain '1' is a lock, not a time.
    redis.call('DEL', lock)
    holder = false
  end
  if holder == token then
    local left = redis.call('PTTL', lock)
    again = first and string.sub(first, 1, 1) ~= '-'
    if again and redis.call('HGET', companion, 'revoked') == first then
      -- Whoever repeats this does not know that it has the lease, or this copy is late and it does. So it is
      -- neither lengthened nor ended: the first renewal tells.
      ttl = math.max(1, left)
      lasts = ttl
    else
      lasts = math.max(ttl, left) -- renewed meanwhile: the companion lasts with it
      if lasts == ttl then redis.call('PEXPIRE', lock, ARGV[2]) end
    end
    granted = true
  elseif not holder then
    local front, more, polls = nil, false, nil
    if queued then front, more, polls = head(queue, alive, us) end
    if front and front ~= member and (silent or polls ~= 'early') then
      -- A free lock goes to the head of the queue, whoever calls.
      free = give(lock, companion, queue, alive, front, polls, last, us, unsent)
      last, owner, first = redis.call('HGET', companion, 'last'), '', digits(us)
      holder = STAMP .. front
    elseif more then
      free = 0
    else
      -- On a server whose memory is full a key that nobody used lately is refused. One that has its companion
      -- goes on, by a write before SET that takes no memory: or a hot key could be taken by nobody once it was free.
      if last then redis.call('ZREM', queue, member) end
      redis.call('SET', lock, token, 'PX', ARGV[2])
      granted = true
    end
  end
end

if granted then
  local base, contended = mint(last, us), 0
  local minted = digits(base)
  if not again then first = minted end
  if queued then
    redis.call('ZREM', queue, member)
    redis.call('ZREM', alive, member)
    local front, more = head(queue, alive, us)
    if front or more then contended = 1 else redis.call('HDEL', companion, 'queued') end
  end
  if owner == label then
    redis.call('HSET', companion, 'last', minted, 'lease', member, 'first', first)
  else
    redis.call('HSET', companion, 'v', '1', 'last', minted, 'lease', member, 'first', first, 'label', label)
  end
  redis.call('PEXPIRE', companion, keep(lasts, base, us))
  return {1, minted, ttl, contended, unsent}
end

local ours = holder and #holder == #token and string.sub(holder, 1, #STAMP) == STAMP
local place = 0
if not free then free = redis.call('PTTL', lock) end
if wait then
  if not redis.call('ZSCORE', queue, member) then
    redis.call('ZREM', alive, member) -- takes no memory, so that ZADD may on a full server: see release
    redis.call('ZADD', queue, digits(us), member)
  end
  redis.call('PEXPIRE', queue, digits(KEEP)) -- before anything that can fail: no key stays without a ttl
  redis.call('ZADD', alive, digits(math.floor(us / 1000) + ALIVE) .. (silent and (ARGV[4] == '3' and '.75' or '.5') or ''), member)
  redis.call('PEXPIRE', alive, digits(KEEP))
  redis.call('HSET', companion, 'v', '1', 'queued', '1')
  local least = math.max(free, 0) + KEEP
  if redis.call('PTTL', companion) < least then
    redis.call('PEXPIRE', companion, digits(least))
    if not ours then redis.call('HDEL', companion, 'lease') end -- it is over, and the ttl tells of it no more
  end
  place = redis.call('ZRANK', queue, member) + 1
  if ours then
    tell(unsent, string.sub(holder, #STAMP + 1, #STAMP + 20), 'w' .. lock)
  end
end
if not ours then return {0, '', -1, free, place, (holder and 1 or 0), unsent} end
local held = -1
if first then held = since(first, us) end
return {0, owner or '', held, free, place, 0, unsent}
