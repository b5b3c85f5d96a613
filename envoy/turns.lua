-- When a daemon that is turned away, as no server is there, is to ask again: each at a turn of its own.
--
-- A fleet that lost its server would ask as often as each of its daemons does by itself, and a server that starts on the same machine
-- would not have what that costs the edge. So all of them together ask no more often than a few would.

-- Of one worker, which knows of no other: some more than a server takes, so that one that is back never waits for its daemons.
local A_SECOND = 500
-- Of few: soon after a server is back, and hardly any work until then.
local SOONEST_MS = 500
-- No later, for anybody can take turns without being a daemon, and the clock can be set back: then it begins anew.
local LATEST_MS = 30000

local next_ms = 0

-- Gives out the next turn, in milliseconds from now.
local function take(handle)
  local now_ms = tonumber(handle:timestamp())
  next_ms = math.max(next_ms + 1000 / A_SECOND, now_ms + SOONEST_MS)
  if next_ms > now_ms + LATEST_MS then next_ms = now_ms + SOONEST_MS end
  return math.floor(next_ms - now_ms)
end

-- Adds it to the answer to a daemon's stream that no server gave: one that is there says itself what it wants.
local function tell(handle, headers)
  if headers:get("grpc-status") ~= "14" or headers:get("x-http-status") then return end
  headers:replace("retry-after-ms", tostring(take(handle)))
end

return { tell = tell }
