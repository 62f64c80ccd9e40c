-- Asks for the end of shares that are out: their holders are told, and they are not renewed any more. Or ends them.
--
-- KEYS: lock, companion, more, queue, alive, holders, shares
-- ARGV: base, now, push, from
--   base  a fence base in µs, the first or the newest of the share that is meant; '0': all shares
--   now   '1': they end here, and with the last of them the lock goes to the next session in the queue, or to nobody;
--         '0': each is its holder's until that releases it or its time is over
--   push  '1': the script publishes what sessions are told; '0': the reply has one more element, {session,
--         message, session, message, …}, which the caller publishes (see tell in queue.lua)
--   from  '-inf', and what an earlier call has replied as next after that
-- Reply:
--   {found, next}  found: -2 no shares are out: ../mutex/revoke.lua is to be asked
--                          1 base is of none of the shares that were looked at
--                          2 what the shares were is lost. There is nobody to be told; the marker ends by its time
--                          3 revoked, now or before
--                          4 ended
--                  next: from for the next call, which looks at the next shares; '' if there are no more
--
-- Safe to run twice, as ../mutex/revoke.lua.

local lock, companion, more, queue, alive, holders, shares = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local base, now, from = tonumber(ARGV[1]), ARGV[2] == '1', ARGV[4]
local unsent = ARGV[3] == '0' and {} or nil

local holder = redis.call('GET', lock)
local c = redis.call('GET', companion)
local time = redis.call('TIME')

-- shared.lua

local k = known(lock, companion, more, queue, alive, c, redis.call('EXISTS', more, queue), '', time[1] * 1000000 + time[2])
local lease, left = stray(k, holder)
if lease and string.sub(lease, 1, 20) == NOONE then
  restore(k, lease, left)
  holder = STAMP .. lease
end
count(k, holder, holders, shares)
if not k.of then return {-2, '', unsent} end

local found, after, dropped = 1, '', not k.there
local marks = {} -- of sessions that have several shares
if k.there then
  redis.call('HDEL', shares, 'told') -- takes no memory: see restore
  local all = following(k, from)
  if #all >= 2 * HEADS then after = all[#all] end
  for i = 1, #all, 2 do
    local member = all[i]
    local own = redis.call('HGET', shares, member) or ''
    local _, _, first, newest, rest = read(own)
    if base == 0 or first == base or newest == base then
      found = now and 4 or 3
      if now then
        -- As in a release: a copy of its acquire that arrives later does nothing.
        if k.queued then leave(k, member) end
        local session = string.sub(member, 1, 20)
        marks[session] = settle(k, member, marks[session] or redis.call('HGET', more, 'settled:' .. session))
        drop(k, member)
        dropped = true
      elseif string.sub(rest, 1, 1) ~= '1' then
        redis.call('HSET', shares, member, string.sub(own, 1, 42) .. '1' .. string.sub(own, 44))
      end
      tell(unsent, string.sub(member, 1, 20), 'r' .. lock)
    end
  end
elseif base == 0 then
  found = now and 4 or 2
end

local given, ms
if now and dropped and found == 4 then
  given, ms = ended(k, unsent)
  holder = given and STAMP .. given or k.there and holder
end
seal(k, ours(holder), ms)
return {found, after, unsent}
