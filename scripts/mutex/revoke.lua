-- Asks for the end of the lease that is there: its holder is told, and it is not renewed any more. Or ends it.
--
-- KEYS: lock, companion, more, queue, alive
-- ARGV: base, now, push
--   base  a fence base in µs that the lease has to have minted; '0': whichever lease there is
--   now   '1': the lease ends here, another library's lock as well, and the lock goes to the next session in the
--         queue, or to nobody; '0': the lease is its holder's until that releases it or its time is over
--   push  '1': the script publishes what sessions are told; '0': the reply has one more element, {session,
--         message, session, message, …}, which the caller publishes (see tell in queue.lua)
-- Reply:
--   {found}  -2 shares of the lock are out, and nothing was done: ../shares/revoke.lua does it
--            0 nobody's: the lock is free
--            1 another's: base is not of the lease that is there
--            2 held by another library's client
--            3 revoked, now or before
--            4 ended, or the lock rested (see rest.lua) and does so no longer, whatever now says
--   With 0 to 2 nothing was done.
--
-- Safe to run twice: a mark is of one lease, and making it again changes nothing; nor does a base revoke a later
-- lease. Without one, a copy that is delivered late means the lease that is there by then.

local lock, companion, more, queue, alive = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local base, now = tonumber(ARGV[1]), ARGV[2] == '1'
local unsent = ARGV[3] == '0' and {} or nil

local holder = redis.call('GET', lock)
if not holder then return {0, unsent} end
local c = redis.call('GET', companion)
local kept = redis.call('EXISTS', more, queue)
local time = redis.call('TIME')
local us = time[1] * 1000000 + time[2]

-- shared.lua

local k = known(lock, companion, more, queue, alive, c, kept, '', us)
local lease, left, stamp = stray(k, holder)
local member = lease or ours(holder)
if member and string.sub(member, 1, 20) == NOONE then return {-2, unsent} end
-- What is known may be of another lease. One that is given and not confirmed is its receiver's, who may hold it already.
local first = member and k.lease == member and math.abs(k.first) or 0
local before = holder == REST and k.lease -- its session may keep the rest as well
if holder == REST then first, now = math.abs(k.first), true end
if base ~= 0 and not (first > 0 and first <= base and base <= k.last) then return {1, unsent} end
if not now and not member then return {2, unsent} end

if now then
  if stamp and not lease then
    -- A lease that a pylock has overwritten, and that can't be put back, ends as well: its attempt may wait behind
    -- that stamp. And who else comes to a left-over may overwrite the lease that follows.
    if guarded(k, '') then member = k.lease end
    if stamp < us / 1000000 then takeOver(k) end
  end
  if member then
    k.member = member
    if k.queued then leave(k, member) end -- or it could be given what it is to lose
  end
  local given, ms = pass(k, unsent)
  if member then
    -- As in a release: a copy of its acquire that arrives later does nothing.
    settle(k, member, redis.call('HGET', more, 'settled:' .. string.sub(member, 1, 20)))
    tell(unsent, string.sub(member, 1, 20), 'r' .. lock)
  end
  if before then tell(unsent, string.sub(before, 1, 20), 'r' .. lock) end
  if not given then forget(k, k.lease) end -- or what a pylock does next could bring it back
  seal(k, given, keep(k, ms or 0))
  return {4, unsent}
end

if left then restore(k, member, left) end
k.revoked = member .. '+' .. column(first)
note(k, 'revoked', k.revoked)
tell(unsent, string.sub(member, 1, 20), 'r' .. lock)
seal(k, member)
return {3, unsent}
