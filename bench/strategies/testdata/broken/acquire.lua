-- Broken on purpose: it looks, and takes the lock whoever has it.
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return {1}
