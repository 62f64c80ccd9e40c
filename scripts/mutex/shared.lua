-- What the full verbs share. The Go package puts this file where a verb names it: below the way of a quiet key, which
-- needs none of it. Nothing here runs by itself. Times are the server's; redis.call('TIME') is read once a script, and
-- a script is atomic.
--
-- The companion is a string of fixed columns:
--    1     the format's version, 2
--    2     the state: '0' quiet: nobody waits, nothing is revoked, nothing has to be remembered; '1' it is not. Full
--          scripts write it, and never trust it: a companion that was evicted is made anew by fast.lua, which says '0'.
--    3–18  last   the newest fence base, µs; zeros if it is unknown
--   19–35  first  a sign and the base minted at the lease's grant, µs, which is also since when it is held: a base from
--                 first to last is the lease's own. Negative while it is given to a waiter that has not confirmed it,
--                 though it may hold it by the push; zeros if it is unknown
--   36–67  lease  the attempt that has the lease, or blanks. A free on the fast path leaves it there. Its end is told
--                 by the companion's own ttl, less KEEP: see stray. While the lock rests it is the one before, which
--                 revoke tells, and guarded knows
--   68–    label  that holder's label
--
-- more is a hash of what is rarely there:
--   until           until when marks have to be remembered, µs: the latest of their ends
--   settled:SESSION the session's highest settled attempt (12 digits) and when (10 digits, s)
--   pruned          when the settled fields were last thinned out, s
--   revoked         the attempt whose lease is revoked, and that lease's first (sign and 16 digits)
--   over            when we last took over what a crashed pylock had left (16 digits, µs), and the attempt that a full
--                   script has granted the lease since, or blanks: see stray
--
-- The queue and alive are told of in queue.lua, which follows.

local STAMP = '4102444800.1'
local REST = '4102444800.2' -- under a lock that rests: see rest.lua
local NOONE = '00000000000000000000' -- the session that there is not, whose token is a marker: shares are out
local NOBODY = '                                '
local RESERVE = 75      -- ms the lock is kept for a poll-only session to come and confirm
local PATIENCE = 100    -- ms a poll-only session lets others go first
local KEEP = 60000      -- ms the companion outlives the lease; what is in more, too
local HEADS = 64        -- dead heads one call will skip at most
local SETTLED = 128     -- fields in more above which old settled ones are thinned out

-- A large number as Redis stores it: tostring would say 1.7e+15.
local function digits(n)
  return string.format('%.0f', n)
end

-- A base as the companion has it.
local function column(n)
  return string.format('%016.0f', n)
end

-- Reads what is there of a key. c is the companion's value, kept the number of keys of more and queue that are there,
-- member the attempt that the script is of, or ''.
local function known(lock, companion, more, queue, alive, c, kept, member, us)
  local k = {lock = lock, companion = companion, more = more, queue = queue, alive = alive,
    member = member, was = c, us = us, last = 0, first = 0, label = '', til = 0}
  if c then
    local last, sign, first = tonumber(string.sub(c, 3, 18)), string.sub(c, 19, 19), tonumber(string.sub(c, 20, 35))
    if #c < 67 or string.sub(c, 1, 1) ~= '2' or not last or not first or sign ~= '+' and sign ~= '-' then
      redis.call('HLEN', companion) -- no companion of ours: this raises WRONGTYPE, as for what is no string
    end
    k.last, k.first, k.lease, k.label = last, first, string.sub(c, 36, 67), string.sub(c, 68)
    if sign == '-' then k.first = -first end
    if k.lease == NOBODY then k.lease = nil end
  end
  if kept > 0 then
    k.queued = kept == 2 or redis.call('EXISTS', queue) == 1
    local m = redis.call('HMGET', more, 'settled:' .. string.sub(member, 1, 20), 'until', 'over', 'revoked')
    k.settled, k.til, k.revoked = m[1], tonumber(m[2] or '0'), m[4]
    local over = m[3] and tonumber(string.sub(m[3], 1, 16))
    if over and us - over <= KEEP * 1000 then k.over, k.mend = over, string.sub(m[3], 17) end
  end
  return k
end

-- Has seal write a field of more.
local function note(k, name, value)
  k.notes = k.notes or {}
  k.notes[#k.notes + 1] = name
  k.notes[#k.notes + 1] = value
end

-- Has more remembered for KEEP from now.
local function remember(k)
  k.til = math.max(k.til, k.us + KEEP * 1000)
  note(k, 'until', column(k.til))
end

-- The session's attempt that has the lock, if one has.
local function ours(holder)
  if holder and #holder == 44 and string.sub(holder, 1, 12) == STAMP then return string.sub(holder, 13) end
end

-- How long a lease has been held, ms; -1 if that is unknown.
local function since(k, member)
  if k.lease ~= member or k.first == 0 then return -1 end
  return math.max(0, math.floor((k.us - math.abs(k.first)) / 1000))
end

-- How long the companion has to stay: KEEP beyond the lease, or beyond the time that last names, if that is later.
local function keep(k, ttl)
  return math.max(ttl, math.ceil((k.last - k.us) / 1000)) + KEEP
end

-- The member has the lease: the next fence base is minted, which is the time, or one more than the last where the
-- clock stood still or stepped back. Where the member had no lease before, first is to be set. Where it had, first
-- stays, also if that lease was given, and is confirmed now: its receiver may hold it already, and knows it by that base.
local function names(k, member)
  k.last, k.first = math.max(k.us, k.last + 1), math.abs(k.first)
  k.lease, k.named = member, true
  if k.over then
    k.mend = member
    note(k, 'over', column(k.over) .. member)
  end
end

-- The member has no lease any more, and nothing may bring it back.
local function forget(k, member)
  if k.lease == member then k.lease, k.label = nil, '' end
  if k.over and k.mend == member then
    k.mend = NOBODY
    note(k, 'over', column(k.over) .. NOBODY)
  end
end

-- Reports whether the lease that the member has is revoked. A mark is of one lease: the same attempt may have another.
local function revokes(k, member)
  if not k.revoked then return false end
  local whose, first = string.sub(k.revoked, 1, 32), tonumber(string.sub(k.revoked, 34))
  return whose == member and (k.lease ~= member or k.first == 0 or first == 0 or first == math.abs(k.first))
end

-- Returns the lease that goes on though a pylock's time stands under its lock: the member, and what it has left, ms. A
-- pylock that came second in a race for what a crashed one had left does that to us: its losing GETSET is a SET, which
-- takes the token's place and the ttl away. One that has won sends an EXPIRE, and what has a ttl is its own.
-- Returns as well, s, the time of a pylock's value without a ttl, be it such a one or left behind by a crash.
--
-- Such a race needs a left-over, so the token is only put back for KEEP after we took one over, and only that of the
-- lease which a full script has granted since (over, in more): what stands there may else be a pylock that has the
-- lock and has not sent its EXPIRE yet, and a companion goes on naming a lease that was freed on the fast path.
--
-- The end of the lease is read off the companion's ttl: a script that begins, lengthens or ends a lease sets that, too,
-- or forgets the lease. It does not tell while last is ahead of the clock by as much (see keep), and then nothing is put
-- right.
local function stray(k, holder)
  local stamp = holder and tonumber(holder)
  -- A smaller number (before 2001) is no pylock's time, but somebody's flag; a larger one (from 2100) begins as
  -- our tokens do. A pylock writes digits and a point: tonumber reads blanks, hex and exponents, too.
  if not (stamp and stamp >= 1e9 and stamp < 4102444800 and string.find(holder, '^%d+%.?%d*$'))
    or redis.call('PTTL', k.lock) ~= -1 then return end
  if k.over and k.lease and k.mend == k.lease then
    local left = redis.call('PTTL', k.companion) - KEEP
    -- 10 ms, since the companion's ttl begins a little after the lock's, by as long as the script takes.
    if left > math.max(0, k.last - k.us) / 1000 + 10 then return k.lease, left, stamp end
  end
  return nil, nil, stamp
end

-- Puts the token back that a pylock has overwritten.
local function restore(k, member, left)
  redis.call('DEL', k.lock) -- before SET: on a server whose memory is full a script's first write has to take none
  redis.call('SET', k.lock, STAMP .. member, 'PX', left)
end

-- Reports whether the companion names a lease of another than the member that is not over. A left-over is not taken
-- over before: the stamp may be the losing GETSET of a pylock, over a lease that only its own holder knows to be lost.
local function guarded(k, member)
  return k.lease and k.lease ~= member and redis.call('PTTL', k.companion) > KEEP
end

-- A left-over goes, or was taken over by us.
local function takeOver(k)
  k.over, k.mend = k.us, NOBODY
  note(k, 'over', column(k.us) .. NOBODY)
  remember(k)
end

-- Records that the member's attempt, and all before it of the same session, are settled: a copy of its
-- request that arrives later does nothing. old is what the session's field said. Returns what it says then.
local function settle(k, member, old)
  local attempt = string.sub(member, 21)
  if old and string.sub(old, 1, 12) > attempt then attempt = string.sub(old, 1, 12) end
  local said = attempt .. string.format('%010.0f', math.floor(k.us / 1000000))
  note(k, 'settled:' .. string.sub(member, 1, 20), said)
  remember(k)
  k.grows = not old
  return said
end

-- Thins out what was settled more than KEEP ago, every 5 s at most.
local function thin(k)
  if redis.call('HLEN', k.more) <= SETTLED then return end
  local now, pruned = math.floor(k.us / 1000000), redis.call('HGET', k.more, 'pruned')
  if pruned and tonumber(pruned) + 5 > now then return end
  local all = redis.call('HGETALL', k.more)
  for i = 1, #all, 2 do
    if string.sub(all[i], 1, 8) == 'settled:' and tonumber(string.sub(all[i + 1], 13)) + KEEP / 1000 < now then
      redis.call('HDEL', k.more, all[i])
    end
  end
  redis.call('HSET', k.more, 'pruned', digits(now))
end
