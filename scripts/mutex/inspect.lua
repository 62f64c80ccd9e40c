-- Tells what is known of a key. It changes nothing, and never tells the token.
--
-- KEYS: lock, companion, queue, alive
-- ARGV:
-- Reply:
--   {state, label, held, ends, base, waiting, revoked}
--     state    0 free, 1 held by a turnstile session, 2 held by another library's client
--     label    the holder's label, '' if unknown
--     held     ms since its lease was granted, -1 if unknown
--     ends     ms until its lease ends, -1 if never, -2 if free
--     base     the newest fence base in µs as a string, '' if none is known
--     waiting  sessions waiting and alive
--     revoked  1 if the lease was revoked and not yet released
--
-- Safe to run twice: it only reads.

local lock, companion, queue, alive = KEYS[1], KEYS[2], KEYS[3], KEYS[4]

local us = micros()
local holder = redis.call('GET', lock)
local c = redis.call('HMGET', companion, 'last', 'label', 'first', 'revoked')
local state, label, held, revoked = 0, '', -1, 0
local lease, ends = stray(lock, companion, holder, us) -- the next call of the lease's holder puts it right
if holder then
  state = 2
  if lease or #holder == #STAMP + 32 and string.sub(holder, 1, #STAMP) == STAMP then
    state, label = 1, c[2] or ''
    if c[3] then held = since(c[3], us) end
    if c[4] and c[4] == (c[3] or lease or string.sub(holder, #STAMP + 1)) then revoked = 1 end
  end
end
local waiting = redis.call('ZCOUNT', alive, digits(math.floor(us / 1000)), '+inf')
return {state, label, held, ends or redis.call('PTTL', lock), c[1] or '', waiting, revoked}
