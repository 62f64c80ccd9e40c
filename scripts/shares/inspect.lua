-- Tells what is known of the shares that are out. It changes nothing, and never tells a token.
--
-- KEYS: lock, companion, more, queue, alive, holders, shares
-- ARGV:
-- Reply:
--   {kind, out, list}
--     kind  's' shares, 'p' permits; 'x' none are out
--     out   the sum of the permits
--     list  {label, held, ends, permits, n, first, base, revoked, …}: of the hundred that end first each its holder's
--           label, '' if unknown; ms since it was granted; ms until it ends; how many permits it has, and how many its
--           holder said there are; its first base and its newest, as strings; 1 if it is revoked, or 0
--
-- Safe to run twice: it only reads.

local lock, companion, more, queue, alive, holders, shares = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]

local holder = redis.call('GET', lock)
local c = redis.call('GET', companion)
local time = redis.call('TIME')

-- shared.lua

local k = known(lock, companion, more, queue, alive, c, redis.call('EXISTS', more, queue), '', time[1] * 1000000 + time[2])
local lease = stray(k, holder)
count(k, lease and STAMP .. lease or holder, holders, shares, true)
if not k.of then return {'x', 0, {}} end

local list = {}
local all = k.there and redis.call('ZRANGE', holders, 0, 99, 'WITHSCORES') or {}
for i = 1, #all, 2 do
  local own, left = redis.call('HGET', shares, all[i]) or '', tonumber(all[i + 1]) - k.now
  local permits, n, first, newest, rest = read(own)
  if left <= 0 then
    k.out = k.out - (permits or 0)
  elseif newest then
    list[#list + 1] = string.sub(rest, 2)
    list[#list + 1] = math.max(0, math.floor((k.us - first) / 1000))
    list[#list + 1] = left
    list[#list + 1] = permits
    list[#list + 1] = tonumber(n)
    list[#list + 1] = column(first)
    list[#list + 1] = column(newest)
    list[#list + 1] = tonumber(string.sub(rest, 1, 1))
  end
end
return {k.of, math.max(0, k.out), list}
