-- The classic: whoever sets the key has the lock, and its ttl ends it.
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return {1} end
return {0}
