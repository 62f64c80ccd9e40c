-- A queue and a fence: the lock goes by arrival. Whoever stops asking is dropped after a second.
local lock, state, queue = KEYS[1], KEYS[2], KEYS[3]
local token, ttl = ARGV[1], ARGV[2]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

if redis.call('HSETNX', state, 'at:' .. token, now) == 1 then
  redis.call('ZADD', queue, redis.call('HINCRBY', state, 'place', 1), token)
end
redis.call('HSET', state, 'at:' .. token, string.format('%.0f', now))

local first = redis.call('ZRANGE', queue, 0, 0)[1]
while now - (tonumber(redis.call('HGET', state, 'at:' .. first)) or 0) > 1000 do
  redis.call('ZREM', queue, first)
  redis.call('HDEL', state, 'at:' .. first)
  first = redis.call('ZRANGE', queue, 0, 0)[1]
end
if first ~= token or redis.call('EXISTS', lock) == 1 then return {0, 1} end

redis.call('SET', lock, token, 'PX', ttl)
redis.call('ZREM', queue, token)
redis.call('HDEL', state, 'at:' .. token)
return {1, redis.call('HINCRBY', state, 'fence', 1)}
