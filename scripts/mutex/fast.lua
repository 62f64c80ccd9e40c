-- Frees and takes any number of quiet keys: nobody waits for them, and nothing of them has to be remembered.
--
-- KEYS: the lock and the companion of each item, frees first: lock, companion, lock, companion, …
-- ARGV: the number of frees; then for each free its token; then for each take its token, its ttl in ms and its label
-- Reply:
--   {item, …}  one string an item, in the order of KEYS: the 12 digits of the attempt, and behind them
--              1     freed: the lock was the token's, and is nobody's now
--              base  granted: the fence base in µs, 16 digits
--              0     ask in full: nothing was done, and the full script of the verb says what there is
--
-- A key is quiet if its companion says so (state 0, see shared.lua) and its last base is behind the clock. A take also
-- goes on without a companion; a free does not, since others may wait. Where the server's memory is full, takes are
-- answered 0, and frees go through. A call has 256 items at most. On a Cluster it has one, since all
-- its keys have to share a slot.
--
-- Safe to run twice: a repeated take finds its own token under the lock, and a repeated free finds another's or none:
-- both are answered 0, and the full script tells. A copy of a take that arrives after its attempt was ended finds the
-- key not quiet: an attempt of which a request went unanswered is ended in full, which remembers it (see more in
-- shared.lua).

-- companion is what MGET found: a string.
local function quiet(companion, now)
  return #companion >= 67 and string.sub(companion, 1, 2) == '20' and string.sub(companion, 19, 19) == '+'
    and string.sub(companion, 3, 18) < now
end

-- Only NX's OK grants: the call may name a key twice, and what is no string looked like nothing.
local function take(lock, companion, known, now, token, ttl, keep, label)
  local set = redis.pcall('SET', lock, token, 'NX', 'PX', ttl)
  if not set or set.err then return '0' end
  local lives = '20' .. now .. '+' .. now .. string.sub(token, 13) .. label
  if known then
    redis.call('SET', companion, lives, 'PX', keep)
  elseif not redis.call('SET', companion, lives, 'NX', 'PX', keep) then
    redis.call('DEL', lock) -- under the companion's name stands something of somebody else's
    return '0'
  end
  return now
end

local function clock()
  local time = redis.call('TIME')
  return string.format('%010d%06d', time[1], time[2])
end

-- One item, as most calls have, needs no tables.
if #KEYS == 2 then
  local lock, companion, token, now, said = KEYS[1], KEYS[2], ARGV[2], clock(), '0'
  local found = redis.call('MGET', lock, companion) -- false for what is no string: see take
  local value, known = found[1], found[2]
  if ARGV[1] == '1' then
    if value == token and known and quiet(known, now) then
      redis.call('DEL', lock)
      -- A key that was used once leaves nothing for a day.
      if redis.call('PTTL', companion) > 120000 then redis.call('PEXPIRE', companion, '60000') end
      said = '1'
    end
  elseif not value and (not known or quiet(known, now)) then
    said = take(lock, companion, known, now, token, ARGV[3], ARGV[3] + 60000, ARGV[4])
  end
  return {string.sub(token, 33) .. said}
end

local now = clock()

-- Everything is judged before the first write: no item's arguments may end a call that has changed something.
local frees, items = tonumber(ARGV[1]), #KEYS / 2
local found = redis.call('MGET', unpack(KEYS))
local reply, gone, long, ends = {}, {}, {}, {}
local at = frees + 2 -- of the first take's arguments
for i = 1, items do
  local value, known = found[2 * i - 1], found[2 * i]
  if i <= frees then
    local token, said = ARGV[1 + i], '0'
    if value == token and known and quiet(known, now) then
      gone[#gone + 1] = KEYS[2 * i - 1]
      if redis.call('PTTL', KEYS[2 * i]) > 120000 then long[#long + 1] = KEYS[2 * i] end
      said = '1'
    end
    reply[i] = string.sub(token, 33) .. said
  else
    if not value and (not known or quiet(known, now)) then ends[i] = ARGV[at + 1] + 60000 end
    at = at + 3
  end
end

-- Takes go first: where the server's memory is full they are refused only as long as the script has written nothing.
at = frees + 2
for i = frees + 1, items do
  local token, said = ARGV[at], '0'
  if ends[i] then
    said = take(KEYS[2 * i - 1], KEYS[2 * i], found[2 * i], now, token, ARGV[at + 1], ends[i], ARGV[at + 2])
  end
  reply[i] = string.sub(token, 33) .. said
  at = at + 3
end
if gone[1] then redis.call('DEL', unpack(gone)) end
for i = 1, #long do
  redis.call('PEXPIRE', long[i], '60000')
end
return reply
