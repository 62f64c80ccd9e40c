-- Who waits, and how every full script ends. The Go package puts this file behind shared.lua.
--
-- The queue scores a waiting attempt by its arrival, µs. alive is a hash of what a waiting attempt's newest ask has
-- said, in fixed columns:
--    1–13  until when the attempt counts as alive, ms
--   14     its session hears pushes: '1'; is poll-only: '2'; is so, and polls seldom: '3' (acquire's argument wait)
--   15–22  alive: for how long each ask keeps it alive, ms
--   23–38  the ask's number, which nobody can guess; zeros if it has none
--   39     what it wants: 'x' the lock; 's' a share of it, beside other shares; 'p' permits. Anything else counts as 'x'
--   40–44  n: of permits, how many the ask says there are; else zeros
--   45–46  of permits, how many it wants; else zeros
--   47–    its label
-- A lease that is given to one that hears lasts as long as alive says, since that is longer than the pause between two
-- asks. Its session is told by a push that has the ask's number. So the session knows that the lease was given after it
-- had sent that ask, and how long it lasts at least, and grants on the push alone. A push without the number of its
-- newest ask only makes it ask.
--
-- A poll-only session has no inbox, or one that no longer hears. It finds what it is given only at its next poll, so
-- it is treated apart:
--
--   * It is never given the lock for that long. The lock is reserved for it, for RESERVE: three times the 25 ms at
--     which the first in the queue polls, so that one late poll does not lose the turn, and a session that died costs
--     no more than that. One that polls seldom, every 250 ms at the latest, as the server never lets it hear, has ten
--     times as long.
--   * Until it has waited PATIENCE it lets those that hear go first, also those that only just come. Half a poll is
--     10 ms of nobody holding the lock, fifty times what a push takes: given its turn as often as the others, one
--     deaf session of four would leave them a tenth of their throughput. This way it costs them 10 ms in 110, and it
--     does not starve: it keeps its place, by arrival, and from then on is first.
--   * Among themselves poll-only sessions are served in order, also where all are: a server whose users may not use
--     channels.
--   * The next that hears is told of a reservation: nobody releases one that lapses, and this one finds out when it
--     ends by asking.

-- Takes a member out of the queue. Returns whether it was there.
local function leave(k, member)
  if redis.call('ZREM', k.queue, member) == 0 then return false end
  redis.call('HDEL', k.alive, member)
  return true
end

-- Queues the script's attempt, or keeps it alive there. Returns its place. A new arrival never ranks before those that
-- wait, though the clock may have stepped back.
local function enqueue(k, wait, lives, ask, wish, label)
  if not redis.call('ZSCORE', k.queue, k.member) then
    redis.call('HDEL', k.alive, k.member) -- takes no memory, so that ZADD may on a full server: see restore
    local last = redis.call('ZRANGE', k.queue, -1, -1, 'WITHSCORES')[2]
    redis.call('ZADD', k.queue, digits(math.max(k.us, last and last + 1 or 0)), k.member)
  end
  redis.call('PEXPIRE', k.queue, KEEP) -- before anything that can fail: no key stays without a ttl
  redis.call('HSET', k.alive, k.member, string.format('%013.0f%s%08.0f%016.0f', math.floor(k.us / 1000) + lives, wait,
    lives, ask) .. wish .. label)
  redis.call('PEXPIRE', k.alive, KEEP)
  k.waits = true
  return redis.call('ZRANK', k.queue, k.member) + 1
end

-- Reports whether a member of the queue, which asked so, is dead, or an attempt that has ended: a late copy of an acquire
-- may have queued one, before its session settled it or a later one. A session has one attempt at a time that waits for a
-- key, its newest, so the one that the script is of ends those before it as well.
local function gone(k, member, asked)
  if (tonumber(string.sub(asked, 1, 13)) or 0) < k.us / 1000
    or member < k.member and string.sub(member, 1, 20) == string.sub(k.member, 1, 20) then return true end
  if k.til <= k.us then return false end
  local settled = redis.call('HGET', k.more, 'settled:' .. string.sub(member, 1, 20))
  return settled and string.sub(settled, 1, 12) >= string.sub(member, 21)
end

-- Reports whether a member of the queue, which asked so and has waited for so long, µs, is poll-only and lets those that
-- hear go first. One that is ahead of the clock does not: the clock stepped back, and it would wait for as long.
local function early(asked, waited)
  return string.sub(asked, 14, 14) ~= '1' and waited < PATIENCE * 1000 and waited >= -1000
end

-- The member of the queue whose turn it is. Before it, those that are gone are removed. rest is true if there
-- were more of them than one call may skip: then nobody is known to be first. polls is set if the member is poll-only:
-- 'due', or 'early' if it lets those that hear go first, and none of them is in the queue. asked is its newest ask.
local function head(k)
  local polite, its, place = nil, nil, 0 -- the first member that lets others go first, its ask; how many do
  for _ = 1, HEADS do
    local first = redis.call('ZRANGE', k.queue, place, place, 'WITHSCORES')
    local member = first[1]
    if not member then return polite, false, 'early', its end
    local asked = redis.call('HGET', k.alive, member) or ''
    if gone(k, member, asked) then
      leave(k, member)
    elseif not early(asked, k.us - tonumber(first[2])) then
      return member, false, string.sub(asked, 14, 14) ~= '1' and 'due' or nil, asked
    else
      if not polite then polite, its = member, asked end
      place = place + 1
    end
  end
  return polite, not polite, 'early', its
end

-- Pushes a message to a session's inbox. It may be lost: where the user may not publish (the default of
-- Redis 7), an error here would break the script off between its writes, and polling does without. A message is one
-- byte of kind, what that kind has, and the full key:
--   g  ask: the lock may be free, or is given to the session's waiting attempt
--   l  its lease is given to the session's waiting attempt: the attempt's number, 12 digits; the fence base, 16; the
--      number of the newest ask, 16; how long the lease lasts, ms, 8; 1 if others wait, or 0
--   w  another session waits for the lock, which this one has
--   r  the session's lease was revoked, or ended; or the rest after it was
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

-- Gives the free lock to a waiting member, which asked so, and tells its session. Returns for how long: until the member
-- has confirmed it, as long as an ask keeps the member alive; if it is poll-only RESERVE, or ten times that.
local function give(k, member, polls, asked, unsent)
  local ms, ask = tonumber(string.sub(asked, 15, 22)), string.sub(asked, 23, 38)
  if polls then ms = string.sub(asked, 14, 14) == '3' and 10 * RESERVE or RESERVE end
  leave(k, member) -- before SET: see restore
  redis.call('SET', k.lock, STAMP .. member, 'PX', ms)
  names(k, member)
  k.first, k.label = -k.last, string.sub(asked, 47)
  local following, rest = head(k)
  k.waits = following or rest
  local session = string.sub(member, 1, 20)
  if polls then
    tell(unsent, session, 'g' .. k.lock) -- it may just have begun to hear: what it is given is too short for a grant
    if following then tell(unsent, string.sub(following, 1, 20), 'g' .. k.lock) end
  elseif tonumber(ask) == 0 or string.sub(asked, 39, 39) ~= 'x' then
    tell(unsent, session, 'g' .. k.lock) -- one that wants a share makes it of the lock by its next ask
  else
    tell(unsent, session, 'l' .. string.sub(member, 21) .. column(k.last) .. ask .. string.format('%08.0f', ms)
      .. (k.waits and '1' or '0') .. k.lock)
  end
  return ms
end

-- Ends a lease: the lock goes to the first live waiter, or is deleted. It is also deleted if those that wait
-- would only let others go first: one of them finds it free at its next poll, unless one that hears came before.
-- Returns whom it was given to, if anybody, and for how long, ms.
local function pass(k, unsent)
  if k.queued then
    local first, rest, polls, asked = head(k)
    if first and polls ~= 'early' then return first, give(k, first, polls, asked, unsent) end
    k.waits = first or rest
  end
  redis.call('DEL', k.lock)
end

-- Writes the companion. Without ms it keeps its ttl, but for what it must have.
local function write(k, state, ms)
  local value = '2' .. state .. column(k.last) .. (k.first < 0 and '-' or '+') .. column(math.abs(k.first))
    .. (k.lease or NOBODY) .. k.label
  if ms then
    redis.call('SET', k.companion, value, 'PX', ms)
    return
  end
  local left = redis.call('PTTL', k.companion)
  local stays = left
  if left < 1 or state == '1' and left < KEEP then stays = KEEP end
  if value ~= k.was then
    redis.call('SET', k.companion, value, 'PX', stays)
  elseif stays ~= left then
    redis.call('PEXPIRE', k.companion, stays)
  end
end

-- Ends every full script that may have changed something: says in the companion whether anything has to be remembered,
-- and writes what has. member is the attempt under the lock now, if one is; ms is what the companion lasts from now,
-- if that is to be set. Returns 1 if the key is quiet, and 1 if others wait, and else 0.
--
-- The companion outlives all that makes the state 1, so that no key looks quiet for the want of it.
local function seal(k, member, ms)
  local waits = k.waits
  if waits == nil and k.queued then
    local first, rest = head(k)
    waits = first or rest
  end
  if k.revoked and not (member and revokes(k, member)) then
    redis.call('HDEL', k.more, 'revoked') -- of a lease that is over
    k.revoked = nil
  end
  local state = (waits or k.revoked or k.til > k.us) and '1' or '0'
  -- In both cases a write that takes no memory goes first: see restore.
  if state == '0' then
    redis.call('DEL', k.more)
  else
    local stays = k.revoked and math.max(KEEP, redis.call('PTTL', k.lock)) or KEEP
    local found = redis.call('PEXPIRE', k.more, stays)
    if k.notes then
      redis.call('HSET', k.more, unpack(k.notes))
      if found == 0 then redis.call('PEXPIRE', k.more, stays) end
      if k.grows then thin(k) end
    end
    if not k.was and not k.named and member then
      k.lease, ms = member, redis.call('PTTL', k.lock) + KEEP -- the companion was evicted
    end
  end
  if k.was or k.named or state == '1' then write(k, state, ms) end
  return state == '0' and k.first >= 0 and k.last <= k.us and 1 or 0, waits and 1 or 0
end

-- Ends the token's attempt: it leaves the queue, and gives the lock back if it has it. Returns 1 if it had, 1 if the
-- lock went straight to a waiting session, and 1 if the key is quiet, and else 0.
local function finish(k, holder, token, mark, unsent)
  local member = string.sub(token, 13)
  local had = holder == token or stray(k, holder) == member
  if k.queued then leave(k, member) end -- a late copy of its acquire may have queued it after its lease had ended
  local given, ms
  if had then
    given, ms = pass(k, unsent)
    holder = given and STAMP .. given
  end
  if mark then settle(k, member, k.settled) end
  if given then
    ms = keep(k, ms)
  else
    -- Only where it freed the lock may the companion be shorter than before: a lease that goes on needs it.
    if had or k.lease == member and not holder then ms = keep(k, 0) end
    if holder ~= REST then forget(k, member) end
  end
  local quiet = seal(k, ours(holder), ms)
  return had and 1 or 0, given and 1 or 0, quiet
end
