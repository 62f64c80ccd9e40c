-- What the verbs share. The Go package puts this file before each of them;
-- nothing here runs by itself. Times are the server's; redis.call('TIME') is
-- read once a script, and a script is atomic.
--
-- The companion hash holds
--   v               the format's version, 1
--   last            the newest fence base, µs
--   lease, at       the attempt that has (or had last) the lease; since when, ms
--   label           that holder's label
--   queued          present while the queue may have members
--   settled:SESSION the session's highest settled attempt (12 digits) and when (10 digits, s)
--   pruned          when the settled fields were last thinned out, s

local STAMP = '4102444800.1'
local PYLOCK = 1e9      -- s: a smaller number (before 2001) is no pylock's time, but somebody's flag
local DIRECT = 1000     -- ms a lease lasts that release gave away, until it is confirmed
local ALIVE = 1000      -- ms a waiting session counts as alive after it asked
local KEEP = 60000      -- ms the companion outlives the lease; settled fields, too
local HEADS = 64        -- dead heads one call will skip at most
local SETTLED = 128     -- fields in the companion above which old settled ones are thinned out

-- The server's time in µs, exact in a double until 2255.
local function micros()
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000000 + tonumber(t[2])
end

-- A large number as Redis stores it: tostring would say 1.7e+15.
local function digits(n)
  return string.format('%.0f', n)
end

-- The next fence base: time, or one more than the last where the clock stood still or stepped back.
local function mint(last, us)
  local base = us
  if last and tonumber(last) >= base then base = tonumber(last) + 1 end
  return base
end

-- How long the companion has to stay: KEEP beyond the lease, and beyond the time that last names.
local function keep(ttl, base, us)
  local ms = ttl + KEEP
  if base > us then ms = ms + math.ceil((base - us) / 1000) end
  return digits(ms)
end

-- Sees that the companion stays as long as what was just settled has to be known. Only where the lock
-- was just freed may that be shorter than before: a lease that goes on needs its companion.
local function stay(companion, freed, last, us)
  local ms = keep(0, tonumber(last or '0'), us)
  if freed or redis.call('PTTL', companion) < tonumber(ms) then redis.call('PEXPIRE', companion, ms) end
end

-- The first live member of the queue; dead ones before it are removed. The second value is true if
-- there were more dead heads than one call may skip: then nobody is known to be first.
local function head(queue, alive, us)
  for _ = 1, HEADS do
    local member = redis.call('ZRANGE', queue, '0', '0')[1]
    if not member then return nil, false end
    local til = redis.call('ZSCORE', alive, member)
    if til and tonumber(til) >= us / 1000 then return member, false end
    redis.call('ZREM', queue, member)
    redis.call('ZREM', alive, member)
  end
  return nil, true
end

-- Pushes a message to a session's inbox. It is a hint: where the user may not publish (the default of
-- Redis 7), an error here would break the script off between its writes, and polling does without.
local function tell(session, message)
  redis.pcall('PUBLISH', 'turnstile:inbox:' .. session, message)
end

-- Gives the free lock to a waiting member, for DIRECT ms, and tells its session.
local function give(lock, companion, queue, alive, member, last, us)
  local base = mint(last, us)
  redis.call('ZREM', queue, member) -- before SET: see release on a full server
  redis.call('ZREM', alive, member)
  redis.call('SET', lock, STAMP .. member, 'PX', digits(DIRECT))
  redis.call('HSET', companion, 'v', '1', 'last', digits(base), 'lease', member,
    'at', digits(math.floor(us / 1000)), 'label', '')
  redis.call('PEXPIRE', companion, keep(DIRECT, base, us))
  tell(string.sub(member, 1, 20), 'g' .. lock)
end

-- Records that the member's attempt, and all before it of the same session, are settled: a copy of its
-- request that arrives later does nothing. old is what the session's field said.
local function settle(companion, member, old, us)
  local attempt = string.sub(member, 21)
  local seconds = string.format('%010.0f', math.floor(us / 1000000))
  if not old or string.sub(old, 1, 12) < attempt then
    redis.call('HSET', companion, 'settled:' .. string.sub(member, 1, 20), attempt .. seconds)
  end
  if not old and redis.call('HLEN', companion) > SETTLED then
    local now = tonumber(seconds)
    local pruned = redis.call('HGET', companion, 'pruned')
    if not pruned or tonumber(pruned) + 5 <= now then
      local all = redis.call('HGETALL', companion)
      for i = 1, #all, 2 do
        if string.sub(all[i], 1, 8) == 'settled:'
            and tonumber(string.sub(all[i + 1], 13)) + KEEP / 1000 < now then
          redis.call('HDEL', companion, all[i])
        end
      end
      redis.call('HSET', companion, 'pruned', seconds)
    end
  end
end

-- Ends a lease: the lock goes to the first live waiter, or is deleted.
local function pass(lock, companion, queue, alive, queued, last, us)
  if queued then
    local first, more = head(queue, alive, us)
    if first then
      give(lock, companion, queue, alive, first, last, us)
      return 1
    end
    if not more then redis.call('HDEL', companion, 'queued') end
  end
  redis.call('DEL', lock)
  return 0
end
