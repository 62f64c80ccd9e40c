-- Asks for the end of the lease that is there: its holder is told, and it is not renewed any more. Or ends it.
--
-- KEYS: lock, companion, queue, alive
-- ARGV: base, now, push
--   base  a fence base in µs that the lease has to have minted; '0': whichever lease there is
--   now   '1': the lease ends here, another library's lock as well, and the lock goes to the next session in the
--         queue, or to nobody; '0': the lease is its holder's until that releases it or its time is over
--   push  '1': the script publishes what sessions are told; '0': the reply has one more element, {session,
--         message, session, message, …}, which the caller publishes (see tell in shared.lua)
-- Reply:
--   {found}  0 nobody's: the lock is free, or given to a waiter that has not confirmed it
--            1 another's: base is not of the lease that is there
--            2 held by another library's client
--            3 revoked, now or before
--            4 ended
--   With 0 to 2 nothing was done.
--
-- Safe to run twice: a mark is of one lease, and making it again changes nothing; nor does a base revoke a later
-- lease. Without one, a copy that is delivered late means the lease that is there by then.

local lock, companion, queue, alive = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local base, now = ARGV[1], ARGV[2] == '1'
local unsent = ARGV[3] == '0' and {} or nil

local us = micros()
local holder = redis.call('GET', lock)
if not holder then return {0, unsent} end
local c = redis.call('HMGET', companion, 'last', 'queued', 'lease', 'first')
local last, queued, first = c[1], c[2], c[4]

local member, left = stray(lock, companion, holder, us)
if not member and #holder == #STAMP + 32 and string.sub(holder, 1, #STAMP) == STAMP then
  member = string.sub(holder, #STAMP + 1)
end
if c[3] ~= member then first = nil end -- what is known is of another lease, whose companion this was
if first and tonumber(first) < 0 then return {0, unsent} end
if base ~= '0' and not (first and tonumber(first) <= tonumber(base) and tonumber(base) <= tonumber(last)) then
  return {1, unsent}
end
if not now and not member then return {2, unsent} end

if now then
  local given = pass(lock, companion, queue, alive, queued, last, us, unsent)
  if given == 0 then redis.call('HDEL', companion, 'lease') end -- or what a pylock does next could bring it back
  if member then
    -- As in a release: a copy of its acquire that arrives later does nothing.
    settle(companion, member, redis.call('HGET', companion, 'settled:' .. string.sub(member, 1, 20)), us)
    tell(unsent, string.sub(member, 1, 20), 'r' .. lock)
  end
  stay(companion, member, given, last, us)
  return {4, unsent}
end

if left then
  redis.call('DEL', lock) -- before SET: see release on a full server
  redis.call('SET', lock, STAMP .. member, 'PX', digits(left))
end
local stays = redis.call('PTTL', companion)
if stays < 0 then stays = tonumber(keep(math.max(0, redis.call('PTTL', lock)), us, us)) end
redis.call('PEXPIRE', companion, digits(stays)) -- before HSET as well
redis.call('HSET', companion, 'v', '1', 'revoked', first or member)
redis.call('PEXPIRE', companion, digits(stays)) -- there may have been none
tell(unsent, string.sub(member, 1, 20), 'r' .. lock)
return {3, unsent}
