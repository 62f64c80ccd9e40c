-- Shares of a lock, as all verbs in this folder have them. The Go package puts this file behind queue.lua.
--
-- While shares are out, a marker stands under the lock: STAMP, and a member that there is not (see NOONE), whose last digit
-- tells of which kind they are. To the scripts that know nothing of kinds, and to a pylock, it is a lock like any other:
-- they wait for it, leave it, put it back, and name it in the companion as its lease. last is the newest base of any share
-- then, first that of the marker's first, and the label is blank.
--
-- holders is a sorted set of the attempts that have a share, by when it ends, ms. shares is a hash of what they have:
--   ATTEMPT  fixed columns:
--      1–5    permits; 1 of a share that is none of permits
--      6–10   n: of permits, how many its holder said there are, for inspect alone; else zeros
--     11–26   first: the base that was minted when it was granted, or the lock that it was before
--     27–42   its newest base
--     43      '1' if it is revoked, or '0'
--     44–     its holder's label
--   out      the sum of all permits
--   told     when the share ends, ms, of the last holder that was told that others wait; see tellHolders
-- Both last as long as the longest share, and so does the marker. If one of them is gone, the other counts for nothing: such
-- a marker is somebody's until it ends.
--
-- A share is granted by its own attempt's ask alone, and never grows. An ask joins the shares that are out if all that came
-- before it, and are alive, could join them as well. A lock is given to the first that waits, whichever its kind; the
-- next ask of an attempt that wants a share makes a marker of it, and tells those that fit. Making a marker deletes the
-- shares of earlier ones.

local NUMBERS = {s = '000000000001', p = '000000000002'}

-- Takes the value of a share apart: permits, n, first and newest base, and the rest, which begins with '1' if it is revoked.
local function read(value)
  return tonumber(string.sub(value, 1, 5)), string.sub(value, 6, 10), tonumber(string.sub(value, 11, 26)),
    tonumber(string.sub(value, 27, 42)), string.sub(value, 43)
end

-- The kind of a marker that is under the lock, and its member.
local function marked(holder)
  if not holder or string.sub(holder, 1, 32) ~= STAMP .. NOONE then return end
  local member = string.sub(holder, 13)
  return string.sub(member, 21) == NUMBERS.p and 'p' or 's', member
end

-- When the longest share ends, ms, but for the member's.
local function longest(k, member)
  local line = redis.call('ZRANGE', k.holders, -2, -1, 'WITHSCORES')
  for i = #line - 1, 1, -2 do
    if line[i] ~= member then return tonumber(line[i + 1]) end
  end
  return 0
end

-- Takes a share away.
local function drop(k, member)
  local permits = read(redis.call('HGET', k.shares, member) or '') or 0
  redis.call('ZREM', k.holders, member) -- takes no memory
  redis.call('HDEL', k.shares, member)
  k.out = math.max(0, k.out - permits)
  redis.call('HSET', k.shares, 'out', digits(k.out))
end

-- Reads what there is of shares, and drops those that are over: no more of them than HEADS, and none for a verb that only
-- reads. of is the kind of the marker that holder is; there tells that some are left, and ends when the first ends.
local function count(k, holder, holders, shares, reads)
  k.holders, k.shares, k.now, k.out = holders, shares, math.floor(k.us / 1000), 0
  k.of, k.marker = marked(holder)
  if redis.call('EXISTS', holders, shares) < 2 then return end
  k.out = tonumber(redis.call('HGET', shares, 'out') or '') or 0
  local first = redis.call('ZRANGE', holders, 0, 0, 'WITHSCORES')
  if not reads and tonumber(first[2]) <= k.now then
    local line = redis.call('ZRANGE', holders, 0, HEADS - 1, 'WITHSCORES')
    for i = 1, #line, 2 do
      if tonumber(line[i + 1]) <= k.now then drop(k, line[i]) end
    end
    first = redis.call('ZRANGE', holders, 0, 0, 'WITHSCORES')
    if not first[1] then redis.call('DEL', shares) end
  end
  if first[1] then k.there, k.ends = true, tonumber(first[2]) end
end

-- The value of a member's share, if it has one.
local function share(k, member)
  return k.there and redis.call('HGET', k.shares, member) or nil
end

-- Has all that goes with the shares last until then, ms. Returns how long the companion has to.
local function follow(k, ends)
  local ms = math.max(1, ends - k.now)
  redis.call('PEXPIRE', k.lock, ms)
  redis.call('PEXPIRE', k.holders, ms)
  redis.call('PEXPIRE', k.shares, ms)
  return keep(k, ms)
end

-- Writes a member's share, by a newly minted base. first is nil of a new one. rest is '1' if it is revoked or '0', and the
-- label. It ends then, ms.
local function put(k, member, permits, n, first, rest, ends)
  local all = math.max(ends, longest(k, member))
  redis.call('PEXPIRE', k.lock, all - k.now) -- first, since it takes no memory: see restore
  local was = k.lease
  names(k, k.marker)
  if was ~= k.marker then k.first = k.last end
  k.label = ''
  redis.call('ZADD', k.holders, digits(ends), member)
  redis.call('HSET', k.shares, member, string.format('%05.0f', permits) .. n .. column(first or k.last) .. column(k.last)
    .. rest, 'out', digits(k.out))
  k.there, k.lasts = true, follow(k, all)
end

-- The first members of the queue, so many at most, what they asked, and how long each has waited, µs.
local function line(k, most)
  local members, waited = {}, {}
  local all = redis.call('ZRANGE', k.queue, 0, most - 1, 'WITHSCORES')
  for i = 1, #all, 2 do
    members[#members + 1] = all[i]
    waited[#waited + 1] = k.us - tonumber(all[i + 1])
  end
  return members, members[1] and redis.call('HMGET', k.alive, unpack(members)), waited
end

-- What an ask in the queue wants: its kind, n, and how many permits.
local function wish(asked)
  return string.sub(asked, 39, 39), tonumber(string.sub(asked, 40, 44)), tonumber(string.sub(asked, 45, 46))
end

-- Tells the first in the queue, so many at most, that can come in beside the shares that are out.
local function wake(k, most, unsent)
  if not k.queued or not k.there then return end
  local out = k.out
  local members, asked, waited = line(k, most)
  for i = 1, #members do
    local said = asked[i] or ''
    if not gone(k, members[i], said) and not early(said, waited[i]) then
      local kind, n, want = wish(said)
      if kind ~= k.of or kind == 'p' and not (n and want and out < n) then return end
      if kind == 'p' then out = out + want end
      tell(unsent, string.sub(members[i], 1, 20), 'g' .. k.lock)
    end
  end
end

-- How many permits the member's ask can have beside the shares that are out, 1 if it wants none of permits. Those before it
-- in the queue come first: their part is left for them, and n counts as no larger than theirs, or one of a smaller n would be
-- overtaken again and again. A scan is of HEADS: one that is further back waits until those before have come in.
local function fits(k, member, kind, n, want, hears)
  if kind ~= k.of or not k.there then return 0 end
  local out = k.out
  local members, asked, waited = {}, nil, nil
  if k.queued then members, asked, waited = line(k, HEADS + 1) end
  for i = 1, #members do
    local said = asked[i] or ''
    if members[i] == member then break end
    if i > HEADS then return 0 end
    if not gone(k, members[i], said) and not (hears and early(said, waited[i])) then
      local its, most, wants = wish(said)
      if its ~= kind or kind == 'p' and not (most and wants and out < most) then return 0 end
      if kind == 'p' then
        out, n = out + math.min(wants, most - out), math.min(n, most)
      end
    end
  end
  if kind == 's' then return 1 end
  return math.max(0, math.min(want, n - out))
end

-- Gives the member a share, which it has not, of the marker that is there. first is nil, or that of the lock which it was.
local function add(k, member, permits, n, first, label, ttl, unsent)
  leave(k, member) -- before what takes memory: see restore
  k.out = k.out + permits
  put(k, member, permits, string.format('%05.0f', n), first, '0' .. label, k.now + ttl)
  if k.queued then
    local last = redis.call('ZRANGE', k.queue, HEADS - 1, HEADS - 1)[1]
    if last then tell(unsent, string.sub(last, 1, 20), 'g' .. k.lock) end -- which an ask's scan reaches now
    if k.of == 'p' then wake(k, 1, unsent) end -- it may have taken less than was left for it
  end
end

-- Puts a marker under the lock, which is free or the member's, with the member's share. A share that was a lock keeps the
-- lock's first: its holder may not hear of it, and ask again by a base that it knows.
local function make(k, holder, member, kind, permits, n, label, ttl, unsent)
  local first = holder and k.lease == member and k.first ~= 0 and math.abs(k.first) or nil
  if k.last > 0 or k.queued then leave(k, member) end -- or a server whose memory is full refuses it: see acquire
  k.of, k.marker, k.out = kind, NOONE .. NUMBERS[kind], 0
  redis.call('SET', k.lock, STAMP .. k.marker, 'PX', ttl)
  redis.call('DEL', k.holders, k.shares)
  if k.lease == k.marker then k.lease = nil end -- an earlier one
  add(k, member, permits, n, first, label, ttl, unsent)
  wake(k, HEADS, unsent)
end

-- After a share has ended: what is left of the marker. Returns whom the lock was given to, if anybody, and how long the
-- companion has to last.
local function ended(k, unsent)
  local all = k.there and longest(k) or 0
  if all > 0 then
    local ms = follow(k, all)
    wake(k, HEADS, unsent)
    return nil, ms
  end
  redis.call('DEL', k.holders, k.shares)
  k.there = false
  local given, ms = pass(k, unsent)
  if not given then forget(k, k.marker) end
  return given, keep(k, ms or 0)
end

-- 1 if another session than the member's waits, or 0.
local function contended(k, member)
  local first = k.queued and redis.call('ZRANGE', k.queue, 0, 1) or {}
  for i = 1, #first do
    if string.sub(first[i], 1, 20) ~= string.sub(member, 1, 20) then return 1 end
  end
  return 0
end

-- The shares that end after that, ms, in the order of their ends: HEADS of them, and more only where several end together.
-- Returns each holder and when its share ends.
local function following(k, ends)
  local at = redis.call('ZCOUNT', k.holders, '-inf', ends)
  local some = redis.call('ZRANGE', k.holders, at, at + HEADS - 1, 'WITHSCORES')
  if #some == 2 * HEADS then
    local upto = redis.call('ZCOUNT', k.holders, '-inf', some[#some])
    if upto > at + HEADS then some = redis.call('ZRANGE', k.holders, at, upto - 1, 'WITHSCORES') end
  end
  return some
end

-- Tells holders that somebody waits: all, or in turns where they are many. The order of their ends is the turns': a holder
-- that renews meanwhile moves behind those that are told next, and has learned it by that answer.
local function tellHolders(k, unsent)
  local all = redis.call('ZRANGE', k.holders, 0, HEADS, 'WITHSCORES')
  if #all > 2 * HEADS then
    all = following(k, redis.call('HGET', k.shares, 'told') or '-inf')
    if #all == 0 then all = following(k, '-inf') end
    redis.call('HSET', k.shares, 'told', all[#all])
  end
  for i = 1, #all, 2 do
    tell(unsent, string.sub(all[i], 1, 20), 'w' .. k.lock)
  end
end
