-- Tells callers whose keys a server has taken from strangers, before anything is counted. A key that somebody made up opens nothing, not
-- even the limits of those who have one.

local API = require("gen.edge")
local connections = require("envoy.connections")

-- Where a key may stand before rest.lua looks into paths and queries; what stands there is a stranger's in any case.
local CARRIERS = { "authorization", "x-renter-key", "x-provider-key", "x-admin-token", "x-api-key" }
-- Nor is the path of any method, or the verb.
local PATH_CHARACTERS, VERB_CHARACTERS = 256, 16
-- No key is longer; what is would only fill the memory.
local KEY_CHARACTERS = 512
-- Of each half, which one worker keeps to itself.
local KEYS = 20000
local KEPT_SECONDS = 300

-- Keys that a server takes again move from the older half to the newer; the others are forgotten when the halves change.
local newer, older, count, begun = {}, {}, 0, os.time()

local function change_halves()
  newer, older, count, begun = {}, newer, 0, os.time()
end

-- Asked at each call, as a worker that learns nothing new must forget all the same.
local function forget_in_time()
  local kept = os.time() - begun
  if kept >= KEPT_SECONDS then change_halves() end
  -- Nobody came for so long that the older half is past its time, too.
  if kept >= 2 * KEPT_SECONDS then older = {} end
end

local function learn(key)
  if newer[key] then return end
  if count >= KEYS then change_halves() end
  newer[key], count = true, count + 1
end

local function forget(key)
  if newer[key] then count = count - 1 end
  newer[key], older[key] = nil, nil
end

-- All that a call brings, as a server takes the first that it has a use for.
local function key_of(headers)
  local parts, found = {}, false
  for index, name in ipairs(CARRIERS) do
    parts[index] = headers:get(name) or ""
    found = found or parts[index]:find("%S") ~= nil
  end
  return found and table.concat(parts, "\n") or nil
end

-- Whether a method is called that looks at no key and takes a body: one that was made up for it would be found out by nobody.
local function asks_no_key(path)
  path = path:match("^[^?]*")
  local method = API.methods[path]
  if method then return not method.key_in end
  for _, own in ipairs(API.keyless_bodies) do
    if path:find(own) then return true end
  end
  return false
end

function envoy_on_request(handle)
  forget_in_time()
  local headers = handle:headers()
  local key = key_of(headers)
  local metadata = handle:streamInfo():dynamicMetadata()
  -- Of what the limits refuse rest.lua sees the answer only. In no log either: a key may stand in a path.
  metadata:set("dc1.asked", "verb", headers:get(":method"):sub(1, VERB_CHARACTERS))
  -- CONNECT has none.
  local path = headers:get(":path") or ""
  metadata:set("dc1.asked", "path", path:sub(1, PATH_CHARACTERS))
  -- In no log: the access log names what it writes.
  if key and #key <= KEY_CHARACTERS then metadata:set("dc1.caller", "key", key) end
  if key and newer[key] then return end
  -- To be seen again before it is forgotten: who stopped being good must not stay known by calls that end nowhere.
  metadata:set("dc1.caller", "asks", key ~= nil)
  if key and older[key] then return end
  -- The limits of envoy.yaml go by these two.
  metadata:set("dc1.caller", "calls", "anonymous")
  if not connections.may_stay(handle:streamInfo()) then handle:streamInfo():drainConnectionUponCompletion() end
  local proves_nothing = not key or asks_no_key(path)
  metadata:set("dc1.caller", "brings", proves_nothing and "nothing" or "unproven")
end

function envoy_on_response(handle)
  local caller = handle:streamInfo():dynamicMetadata():get("dc1.caller")
  if not caller or not caller.key then return end
  -- As rest.lua, which comes before this one on the way back, has read the server's answer.
  if caller.verdict == "taken" then learn(caller.key) end
  -- Refused as too frequent, too: until it is served again a call with it costs what a stranger's may.
  if caller.verdict == "refused" then forget(caller.key) end
  -- A daemon's stream says for days that its key is good, and all of a site come again at once when it ends.
  if caller.verdict ~= "taken" or not caller.stays then return end
  for _ in handle:bodyChunks() do
    forget_in_time()
    learn(caller.key)
  end
end
