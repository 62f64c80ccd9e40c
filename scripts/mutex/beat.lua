-- Keeps attempts in their queues that wait for many keys: as acquire does for each, and no more.
--
-- KEYS: two for each item: lock, alive; or five: lock, alive, companion, more, queue, to have these last, too
-- ARGV: alive, push, and two for each item: token, ask
--   alive, ask  as acquire's, ask with 16 digits: what an item's attempt says from now on. Its session hears pushes
--   push        '1': the script publishes what sessions are told; '0': the caller does, see Reply
-- Reply: one string: the first item's ask, and a word for each item, with a blank before each word:
--   0           nothing was done, and the attempt has to be repeated by acquire: it does not wait here (any more), the
--               lock is free, is its own, or is no session's, shares of it are out, or something else is not as it should be
--   MS:HOLDER   it waits, as acquire would have answered: ms until the lock ends, -1 if never; the member that has it.
--               Its session is told that the lock is wanted: with push '0' by the caller, by the message 'w' and the lock.
--               With push '1' all that a session has are in one message: 'm', and for each its length, 8 digits, and itself
--
-- Safe to run twice, and late: it never adds an attempt to a queue. One that has ended is in none; one that waits is kept
-- for a little longer, and the push that gives it the lock echoes an older number, which only makes its session ask.

local lives, push = tonumber(ARGV[1]), ARGV[2] ~= '0'
local time = redis.call('TIME')
local said = string.format('%013.0f1%08.0f', time[1] * 1000 + math.floor(time[2] / 1000) + lives, lives)

local KEEP, NOONE = 60000, '00000000000000000000' -- as in shared.lua
local items = (#ARGV - 2) / 2
local names = #KEYS / items

-- Has one of the names beside a lock last. Returns whether it is there.
local function keep(name)
  local left = redis.call('PTTL', name)
  if left >= 0 and left < KEEP then redis.call('PEXPIRE', name, KEEP) end
  return left ~= -2
end

local words, wanted = {ARGV[4]}, {}
for i = 1, items do
  local at, token, word = names * (i - 1), ARGV[2 * i + 1], '0'
  local lock, alive = KEYS[at + 1], KEYS[at + 2]
  local member = string.sub(token, 13)
  -- What is of another type is acquire's to complain about, and the other items' business it is not.
  local holder, asked = redis.pcall('GET', lock), redis.pcall('HGET', alive, member)
  if type(holder) == 'string' and type(asked) == 'string' and #asked >= 46 and holder ~= token and #holder == 44
    and string.sub(holder, 1, 12) == string.sub(token, 1, 12) and string.sub(holder, 13, 32) ~= NOONE then
    local left = redis.call('PTTL', lock)
    local lasts = left ~= 0
    if lasts and names == 5 then
      -- The companion outlives the others, or the key would look quiet. One that was evicted is acquire's to make anew.
      lasts = keep(KEYS[at + 3])
      if lasts then
        lasts = keep(KEYS[at + 5])
        keep(alive)
        keep(KEYS[at + 4])
      end
    end
    if lasts then
      local set = redis.pcall('HSET', alive, member,
        said .. ARGV[2 * i + 2] .. string.sub(asked, 39))
      if type(set) == 'number' then
        word = string.format('%.0f', left) .. ':' .. string.sub(holder, 13)
        if push then
          local session = string.sub(holder, 13, 32)
          local its = wanted[session] or {'m'}
          wanted[session] = its
          its[#its + 1] = string.format('%08.0f', #lock)
          its[#its + 1] = lock
        end
      end
    end
  end
  words[i + 1] = word
end
for session, its in pairs(wanted) do
  redis.pcall('PUBLISH', 'turnstile:inbox:' .. session, table.concat(its))
end
return table.concat(words, ' ')
