-- What the verbs share. The Go package puts this file before each of them;
-- nothing here runs by itself. Times are the server's; redis.call('TIME') is
-- read once a script, and a script is atomic.
--
-- The companion hash holds
--   v               the format's version, 1
--   last            the newest fence base, µs
--   lease           the attempt that has (or had last) the lease
--                   its end is told by the companion's own ttl, less KEEP: see stray
--   first           the base minted at that lease's grant, µs, which is also since when it is held: a base
--                   from first to last is the lease's own. Negative while it is given to a waiter that has
--                   not confirmed it
--   revoked         the first of the lease that was revoked; of one whose first is not known, the attempt
--   label           that holder's label
--   queued          present while the queue may have members
--   settled:SESSION the session's highest settled attempt (12 digits) and when (10 digits, s)
--   pruned          when the settled fields were last thinned out, s
--
-- The queue scores a waiting attempt by its arrival, µs; alive, by the time until which it counts as alive,
-- ms, with .5 added if it is poll-only: its session has no inbox, or one that no longer hears. What such a
-- session is given it finds only at its next poll, so it is treated apart (.75 says that it polls seldom, too):
--
--   * It is never given the lock for DIRECT ms. The lock is reserved for it, for RESERVE: three times the
--     25 ms at which the first in the queue polls, so that one late poll does not lose the turn, and a
--     session that died costs no more than that. One that polls seldom, every 250 ms at the latest, as the
--     server never lets it hear, has ten times as long.
--   * Until it has waited PATIENCE it lets those that hear go first, also those that only just come. Half a
--     poll is 10 ms of nobody holding the lock, fifty times what a push takes: given its turn as often as
--     the others, one deaf session of four would leave them a tenth of their throughput. This way it costs
--     them 10 ms in 110, and it does not starve: it keeps its place, by arrival, and from then on is first.
--   * Among themselves poll-only sessions are served in order, also where all are: a server whose users
--     may not use channels.
--   * The next that hears is told of a reservation: nobody releases one that lapses, and this one finds out
--     when it ends by asking.

local STAMP = '4102444800.1'
local DIRECT = 1000     -- ms a lease lasts that release gave away, until it is confirmed
local RESERVE = 75      -- ms the lock is kept for a poll-only session to come and confirm
local PATIENCE = 100    -- ms a poll-only session lets others go first
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

-- How long a lease has been held, ms, by its first.
local function since(first, us)
  return math.max(0, math.floor((us - math.abs(tonumber(first))) / 1000))
end

-- How long the companion has to stay: KEEP beyond the lease, or beyond the time that last names, if that is later.
local function keep(ttl, base, us)
  local ms = ttl
  if base > us then ms = math.max(ms, math.ceil((base - us) / 1000)) end
  return digits(ms + KEEP)
end

-- Sees that the companion stays as long as what was just settled has to be known. given is pass's answer: only where
-- it freed the lock may that be shorter than before, since a lease that goes on needs its companion. Where the
-- member turned out to have the lock no more, its lease is over, though the companion's ttl may say otherwise.
local function stay(companion, member, given, last, us)
  local ms = keep(0, tonumber(last or '0'), us)
  if given == 0 or redis.call('PTTL', companion) < tonumber(ms) then redis.call('PEXPIRE', companion, ms) end
  if not given and redis.call('HGET', companion, 'lease') == member then redis.call('HDEL', companion, 'lease') end
end

-- Whose lease goes on though a pylock's time stands under its lock: the member, and what it has left, ms. A pylock
-- that came second in a race for what a crashed one had left does that to us: its losing GETSET is a SET, which
-- takes the token's place and the ttl away. One that has won sends an EXPIRE, and what has a ttl is its own.
-- Returns as well, s, the time of a pylock's value without a ttl, be it such a one or left behind by a crash.
--
-- The end of the lease is read off the companion's ttl, so it costs those nothing that never meet a pylock:
-- whoever begins, lengthens or ends a lease sets that, too, or forgets the lease. It does not tell while last is ahead of the clock by
-- as much (see keep), and then nothing is put right.
local function stray(lock, companion, holder, us)
  local stamp = holder and tonumber(holder)
  -- A smaller number (before 2001) is no pylock's time, but somebody's flag; a larger one (from 2100) begins as
  -- our tokens do. They are not among the constants above: each of those that a function uses costs every call.
  if not (stamp and stamp >= 1e9 and stamp < 4102444800) or redis.call('PTTL', lock) ~= -1 then return end
  local c = redis.call('HMGET', companion, 'lease', 'last')
  local left = redis.call('PTTL', companion) - KEEP
  local ahead = math.max(0, tonumber(c[2] or '0') - us) / 1000
  -- 10 ms, since the companion's ttl begins a little after the lock's, by as long as the script takes.
  if c[1] and left > ahead + 10 then return c[1], left, stamp end
  return nil, nil, stamp
end

-- The member of the queue whose turn it is; dead ones before it are removed. more is true if there were more
-- dead heads than one call may skip: then nobody is known to be first. polls is set if it is poll-only:
-- 'due', or 'early' if it lets those that hear go first, and none of them is in the queue.
local function head(queue, alive, us)
  local early, place = nil, 0 -- the first member that lets others go first; how many do
  for _ = 1, HEADS do
    local member = redis.call('ZRANGE', queue, digits(place), digits(place))[1]
    if not member then return early, false, 'early' end
    local til = tonumber(redis.call('ZSCORE', alive, member) or '0')
    if til < us / 1000 then
      redis.call('ZREM', queue, member)
      redis.call('ZREM', alive, member)
    elseif til % 1 == 0 then
      return member, false, nil
    elseif us - tonumber(redis.call('ZSCORE', queue, member)) >= PATIENCE * 1000 then
      return member, false, 'due'
    else
      early, place = early or member, place + 1
    end
  end
  return early, not early, 'early'
end

-- Pushes a message to a session's inbox. It is a hint: where the user may not publish (the default of
-- Redis 7), an error here would break the script off between its writes, and polling does without.
--
-- With push '0' the caller publishes, since on a Cluster with sharded channels a script reaches those of its own
-- node alone. Then unsent is the list that the reply ends in, of sessions and messages in turn, and else nil: an
-- array ends there. A call has three messages at most. unsent is handed down, and no variable of this file: what
-- is assigned to keeps the embedded engine from making a function once for all runs (+18 allocations a pair).
local function tell(unsent, session, message)
  if unsent then
    unsent[#unsent + 1] = session
    unsent[#unsent + 1] = message
  else
    redis.pcall('PUBLISH', 'turnstile:inbox:' .. session, message)
  end
end

-- Gives the free lock to a waiting member and tells its session. Returns for how long: until the member
-- has confirmed it, that is DIRECT ms; if it is poll-only RESERVE, or ten times that.
local function give(lock, companion, queue, alive, member, polls, last, us, unsent)
  local base, ms = mint(last, us), DIRECT
  if polls then
    ms = RESERVE
    if tonumber(redis.call('ZSCORE', alive, member) or '0') % 1 > 0.5 then ms = 10 * RESERVE end
  end
  redis.call('ZREM', queue, member) -- before SET: see release on a full server
  redis.call('ZREM', alive, member)
  redis.call('SET', lock, STAMP .. member, 'PX', digits(ms))
  redis.call('HSET', companion, 'v', '1', 'last', digits(base), 'lease', member,
    'first', digits(-base), 'label', '')
  redis.call('PEXPIRE', companion, keep(ms, base, us))
  tell(unsent, string.sub(member, 1, 20), 'g' .. lock) -- a poll-only session as well: it may just have begun to hear
  if polls then
    local following = head(queue, alive, us)
    if following then tell(unsent, string.sub(following, 1, 20), 'g' .. lock) end
  end
  return ms
end

-- Records that the member's attempt, and all before it of the same session, are settled: a copy of its
-- request that arrives later does nothing. old is what the session's field said.
local function settle(companion, member, old, us)
  local attempt = string.sub(member, 21)
  local seconds = string.format('%010.0f', math.floor(us / 1000000))
  if old and string.sub(old, 1, 12) > attempt then attempt = string.sub(old, 1, 12) end
  redis.call('HSET', companion, 'settled:' .. string.sub(member, 1, 20), attempt .. seconds)
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

-- Ends a lease: the lock goes to the first live waiter, or is deleted. It is also deleted if those that wait
-- would only let others go first: one of them finds it free at its next poll, unless one that hears came before.
local function pass(lock, companion, queue, alive, queued, last, us, unsent)
  if queued then
    local first, more, polls = head(queue, alive, us)
    if first and polls ~= 'early' then
      give(lock, companion, queue, alive, first, polls, last, us, unsent)
      return 1
    end
    if not first and not more then redis.call('HDEL', companion, 'queued') end
  end
  redis.call('DEL', lock)
  return 0
end
