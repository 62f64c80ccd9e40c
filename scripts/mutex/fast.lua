-- Frees and takes any number of quiet keys: nobody waits for them, and nothing of them has to be remembered.
--
-- KEYS: the lock and the companion of each item, frees first: lock, companion, lock, companion, …
-- ARGV: the number of frees; then for each free its token; then for each take its token, its ttl in ms and its label
-- Reply: a string with a word for each item, in the order of KEYS, and a blank between two. A word is the 12 digits of
--   the attempt, and behind them
--     1     freed: the lock was the token's, and is nobody's now
--     base  granted: the fence base in µs, 16 digits
--     0     ask in full: nothing was done, and the full script of the verb says what there is
--   (A string is read in one piece, and costs a server less than an array of one.)
--
-- A key is quiet if its companion says so (state 0, see shared.lua) and its last base is behind the clock. A take also
-- goes on without a companion; a free does not, since others may wait. Where the server's memory is full, takes are
-- answered 0, and frees go through. A call has 256 items at most. On a Cluster it has one, since all
-- its keys have to share a slot. A free leaves the companion for as long as the lease would have made it last: a lease
-- that has long to go is released in full.
--
-- Only NX's OK grants: the call may name a key twice, and MGET says of what is no string what it says of nothing.
--
-- Safe to run twice: a repeated take finds its own token under the lock, and a repeated free finds another's or none:
-- both are answered 0, and the full script tells. A copy of a take that arrives after its attempt was ended finds the
-- key not quiet: an attempt of which a request went unanswered is ended in full, which remembers it (see more in
-- shared.lua).

-- One item, as most calls have, needs no tables. There are no functions either: a server makes them anew in each call.
if #KEYS == 2 then
  local lock, companion, token, said = KEYS[1], KEYS[2], ARGV[2], '0'
  local time, found = redis.call('TIME'), redis.call('MGET', lock, companion)
  local now, value, known = string.format('%010d%06d', time[1], time[2]), found[1], found[2]
  local quiet = known and #known >= 67 and string.sub(known, 1, 2) == '20' and string.sub(known, 19, 19) == '+'
    and string.sub(known, 3, 18) < now
  if ARGV[1] == '1' then
    if quiet and value == token then
      redis.call('DEL', lock)
      said = '1'
    end
  elseif not value and (quiet or not known) then
    local keep = string.format('%d', ARGV[3] + 60000) -- as a string: a server takes long to write a number
    local set = redis.pcall('SET', lock, token, 'NX', 'PX', ARGV[3])
    if set and not set.err then
      local lives = '20' .. now .. '+' .. now .. string.sub(token, 13) .. ARGV[4]
      said = now
      if known then
        redis.call('SET', companion, lives, 'PX', keep)
      elseif not redis.call('SET', companion, lives, 'NX', 'PX', keep) then
        redis.call('DEL', lock) -- under the companion's name stands something of somebody else's
        said = '0'
      end
    end
  end
  return string.sub(token, 33) .. said
end

-- Everything is judged before the first write: no item's arguments may end a call that has changed something.
local time, found = redis.call('TIME'), redis.call('MGET', unpack(KEYS))
local now = string.format('%010d%06d', time[1], time[2])
local frees, items = tonumber(ARGV[1]), #KEYS / 2
local words, gone, keeps = {}, {}, {}
local at = frees + 2 -- of the first take's arguments
local ttl, keep      -- of the last take: most have the same
for i = 1, items do
  local value, known = found[2 * i - 1], found[2 * i]
  local quiet = known and #known >= 67 and string.sub(known, 1, 2) == '20' and string.sub(known, 19, 19) == '+'
    and string.sub(known, 3, 18) < now
  if i <= frees then
    local token, said = ARGV[1 + i], '0'
    if quiet and value == token then
      gone[#gone + 1] = KEYS[2 * i - 1]
      said = '1'
    end
    words[i] = string.sub(token, 33) .. said
  else
    if not value and (quiet or not known) then
      if ARGV[at + 1] ~= ttl then
        ttl = ARGV[at + 1]
        keep = string.format('%d', ttl + 60000)
      end
      keeps[i] = keep
    end
    at = at + 3
  end
end

-- Takes go first: where the server's memory is full they are refused only as long as the script has written nothing.
at = frees + 2
for i = frees + 1, items do
  local token, said = ARGV[at], '0'
  if keeps[i] then
    local set = redis.pcall('SET', KEYS[2 * i - 1], token, 'NX', 'PX', ARGV[at + 1])
    if set and not set.err then
      local lives = '20' .. now .. '+' .. now .. string.sub(token, 13) .. ARGV[at + 2]
      said = now
      if found[2 * i] then
        redis.call('SET', KEYS[2 * i], lives, 'PX', keeps[i])
      elseif not redis.call('SET', KEYS[2 * i], lives, 'NX', 'PX', keeps[i]) then
        redis.call('DEL', KEYS[2 * i - 1])
        said = '0'
      end
    end
  end
  words[i] = string.sub(token, 33) .. said
  at = at + 3
end
if gone[1] then redis.call('DEL', unpack(gone)) end
return table.concat(words, ' ')
