-- Tells what is known of a key. It changes nothing, and never tells the token.
--
-- KEYS: lock, companion, more, queue, alive
-- ARGV:
-- Reply:
--   {state, label, held, ends, base, waiting, revoked, first, waiters}
--     state    0 free, 1 held by a turnstile session, 2 held by another library's client, 3 nobody's, and it rests: see
--              rest.lua; 4 shares of it are out: ../shares/inspect.lua tells of them, and label is ''
--     label    the holder's label, or of who had it before the rest; '' if unknown
--     held     ms since its lease was granted, -1 if unknown
--     ends     ms until its lease ends, -1 if never, -2 if free
--     base     the newest fence base in µs as a string, '' if none is known
--     waiting  sessions waiting: of the queue's first 100 those that are alive, and all behind them
--     revoked  1 if the lease was revoked and not yet released
--     first    the base that was minted when the lease was granted, as a string; '' if unknown
--     waiters  {label, ms, kind, n, …}: the waiting sessions of the queue's first 100 that are alive, in their order: how
--              long each has waited, what it waits for (see queue.lua), and of permits how many it says there are, else 0;
--              a label is '' if unknown
--
-- Safe to run twice: it only reads.

local lock, companion, more, queue, alive = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]

local holder = redis.call('GET', lock)
local c = redis.call('GET', companion)
local kept = redis.call('EXISTS', more, queue)
local time = redis.call('TIME')
local us = time[1] * 1000000 + time[2]

-- shared.lua

local k = known(lock, companion, more, queue, alive, c, kept, '', us)
local state, label, held, revoked, first = 0, '', -1, 0, ''
local lease, ends = stray(k, holder) -- the next call of the lease's holder puts it right
local member = lease or ours(holder)
if member then
  state, held = string.sub(member, 1, 20) == NOONE and 4 or 1, since(k, member)
  if revokes(k, member) then revoked = 1 end
  if k.lease == member then
    label = k.label
    if k.first ~= 0 then first = column(math.abs(k.first)) end
  end
elseif holder == REST then
  state, label = 3, k.label
elseif holder then
  state = 2
end

local waiting, waiters = 0, {}
local line = kept > 0 and redis.call('ZRANGE', queue, 0, 99, 'WITHSCORES') or {}
if line[1] then
  local members = {}
  for i = 1, #line, 2 do members[#members + 1] = line[i] end
  local asked = redis.call('HMGET', alive, unpack(members))
  for i = 1, #members do
    if asked[i] and (tonumber(string.sub(asked[i], 1, 13)) or 0) >= us / 1000 then
      waiting = waiting + 1
      waiters[#waiters + 1] = string.sub(asked[i], 47)
      waiters[#waiters + 1] = math.max(0, math.floor((us - line[2 * i]) / 1000))
      waiters[#waiters + 1] = string.sub(asked[i], 39, 39)
      waiters[#waiters + 1] = tonumber(string.sub(asked[i], 40, 44)) or 0
    end
  end
  if #members == 100 then waiting = waiting + math.max(0, redis.call('HLEN', alive) - 100) end
end
return {state, label, held, ends or redis.call('PTTL', lock), k.last > 0 and column(k.last) or '', waiting, revoked, first, waiters}
