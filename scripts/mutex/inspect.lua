-- Tells what is known of a key. It changes nothing, and never tells the token.
--
-- KEYS: lock, companion, queue, alive
-- ARGV:
-- Reply:
--   {state, label, held, ends, base, waiting, revoked, first}
--     state    0 free, 1 held by a turnstile session, 2 held by another library's client
--     label    the holder's label, '' if unknown
--     held     ms since its lease was granted, -1 if unknown
--     ends     ms until its lease ends, -1 if never, -2 if free
--     base     the newest fence base in µs as a string, '' if none is known
--     waiting  sessions waiting and alive
--     revoked  1 if the lease was revoked and not yet released
--     first    the base that was minted when the lease was granted, as a string; '' if unknown
--
-- Safe to run twice: it only reads.

local lock, companion, queue, alive = KEYS[1], KEYS[2], KEYS[3], KEYS[4]

local us = micros()
local holder = redis.call('GET', lock)
local c = redis.call('HMGET', companion, 'last', 'label', 'first', 'revoked', 'lease')
local state, label, held, revoked, first = 0, '', -1, 0, ''
local lease, ends = stray(lock, companion, holder, us) -- the next call of the lease's holder puts it right
if holder then
  state = 2
  if lease or #holder == #STAMP + 32 and string.sub(holder, 1, #STAMP) == STAMP then
    state, label = 1, c[2] or ''
    if c[3] then held = since(c[3], us) end
    local member = lease or string.sub(holder, #STAMP + 1)
    if c[4] and c[4] == (c[3] or member) then revoked = 1 end
    if c[3] and c[5] == member and tonumber(c[3]) > 0 then first = c[3] end
  end
end
local waiting = redis.call('ZCOUNT', alive, digits(math.floor(us / 1000)), '+inf')
return {state, label, held, ends or redis.call('PTTL', lock), c[1] or '', waiting, revoked, first}
