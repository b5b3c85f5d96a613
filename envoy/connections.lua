-- Connections on which strangers called, by address: beyond some of them one is kept for no second call. Envoy itself counts no
-- connections by address, and who calls once on each and then says nothing could hold all that there may be.

local counted_as = require("envoy.addresses").counted_as

-- Of one address, in one worker. A browser has six, a proxy that says nothing of its clients some more.
local KEPT_OPEN = 100
-- Of all addresses; when there are more none is kept.
local REMEMBERED = 100000
-- As long as envoy.yaml lets a connection idle.
local IDLE_SECONDS = 75

local newer, older, count, begun = {}, {}, 0, os.time()

local function forget_in_time()
  if os.time() - begun < IDLE_SECONDS then return end
  newer, older, count, begun = {}, newer, 0, os.time()
end

-- Whether the connection of a call is among those that its address may keep.
local function may_stay(info)
  local connection = info:downstreamDirectRemoteAddress()
  -- Those of a proxy before us are its own, and it knows what to do with them.
  if info:downstreamRemoteAddress() ~= connection then return true end
  forget_in_time()
  local address = counted_as(connection)
  local mine, before = newer[address] or { count = 0, seen = {} }, older[address]
  if mine.seen[connection] then return true end
  if before and before.seen[connection] then
    before.seen[connection], before.count = nil, before.count - 1
  elseif mine.count + (before and before.count or 0) >= KEPT_OPEN or count >= REMEMBERED then
    return false
  end
  mine.seen[connection], mine.count, count = true, mine.count + 1, count + 1
  newer[address] = mine
  return true
end

return { may_stay = may_stay }
