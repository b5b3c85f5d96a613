-- Before any of a body is held: asks the service whether it would take the call, where that is worth it, and refuses what nobody may send.

local API = require("gen.edge")
local headers_of = require("envoy.headers")
local refusals = require("envoy.refusals")
local REFUSALS = API.refusals
local carries_key, method_of = headers_of.carries_key, headers_of.method_of
local refusal_of = refusals.headers

-- Of others, such as "utf-8", the body says what it is.
local COMPRESSED = {
  gzip = true, ["x-gzip"] = true, deflate = true, br = true, zstd = true, compress = true, ["x-compress"] = true,
}

-- What this edge proves itself by to servers on TCP; nil before a Unix socket. src/dc1/edge/config.py puts it in front.
local EDGE_PROOF = dc1_edge_proof

-- gRPC's codes.
local UNAVAILABLE, RESOURCE_EXHAUSTED = "14", "8"

local function native(refusal, code)
  return {
    [":status"] = "200", ["content-type"] = "application/grpc", ["x-http-status"] = tostring(refusal.status),
    ["grpc-status"] = code, ["grpc-message"] = refusal.text,
  }
end

local NATIVE_WAIT = {
  too_large = native(REFUSALS.BODY_TOO_LARGE, RESOURCE_EXHAUSTED), too_many = native(REFUSALS.UNAVAILABLE, UNAVAILABLE),
}

-- A body of so many bytes is read as fast as the service answers whether it wants it.
local UNASKED_BYTES = 16384
local ADMISSION_MS = 5000
-- What the kernel takes in of a body that nobody reads: its sender comes to an end, and reads the answer.
local TAKEN_IN_BYTES = 65536
-- Who says that more will come is not listened to.
local HEARD_OUT_BYTES = 67108864

-- Asks the service whether it would take this call, of which it is told the headers only. Returns its refusal as the headers of an
-- answer, nil where the caller may go on.
local function ask(handle, headers, name, is_rest)
  local asked = {
    [":method"] = "POST", [":path"] = name, [":authority"] = "dc1", ["content-type"] = "application/grpc", ["te"] = "trailers",
    ["x-admission"] = "1",
    ["x-client-address"] = handle:streamInfo():downstreamRemoteAddress():gsub(":%d+$", ""):gsub("[%[%]]", ""),
    ["x-request-id"] = headers:get("x-request-id"),
  }
  -- The route would add it, which these calls do not take.
  asked["x-edge-proof"] = EDGE_PROOF
  for _, credential in ipairs(API.credentials) do asked[credential] = headers:get(credential) end
  -- The path is what a refusal is entered by, where the service keeps who was refused.
  for _, header in ipairs(is_rest and { "x-rest", "x-rest-method", "x-rest-path" } or {}) do asked[header] = headers:get(header) end
  local answer = handle:httpCall("control_plane", asked, "\0\0\0\0\0", ADMISSION_MS)
  if answer[":status"] == "200" and (answer["grpc-status"] or "0") == "0" then return nil end
  -- The service says this of each of its refusals; what does not is none of its words.
  local status = answer["x-http-status"]
  if status then handle:streamInfo():dynamicMetadata():set("dc1.called", "asked", "1") end
  local refusal = { ["retry-after"] = answer["retry-after"], ["x-http-status"] = status }
  if is_rest then
    refusal[":status"], refusal["x-error-body"] = status or "503", answer["x-error-body"]
  else
    refusal[":status"], refusal["content-type"] = "200", "application/grpc"
    refusal["grpc-status"] = status and answer["grpc-status"] or UNAVAILABLE
    refusal["grpc-message"] = status and answer["grpc-message"] or REFUSALS.UNAVAILABLE.text
    refusal["grpc-status-details-bin"] = answer["grpc-status-details-bin"]
  end
  return refusal
end

-- What whole_bodies.lua, which comes next, waits for the body for: nothing here may, once it has asked.
local function wait_for_body(handle, what) handle:streamInfo():dynamicMetadata():set("dc1", "body", what) end

-- Answers in place of the service. Over HTTP/1.1 nothing more is read then, and many clients read after they have sent: who still does
-- 5 s later sees a reset and no answer. Of HTTP/2 many would see the stream end at once. So their end is waited for, and bodies.lua
-- drops what comes; of a chunked body nobody knows how far that is.
local function answer(handle, headers, length)
  local is_short = handle:streamInfo():protocol() ~= "HTTP/2" and (length or 0) <= TAKEN_IN_BYTES
  if is_short or (length or 0) > HEARD_OUT_BYTES then return handle:respond(headers, "") end
  wait_for_body(handle, { refusal = headers })
end

-- A native call: its one message is waited for, so that one which never ends is no burden of the service's. A stream of them is the
-- service's own to take or leave.
local function admit_native(handle, headers, path, caller)
  local method = API.methods[path]
  -- Reflection is a conversation, and health says next to nothing.
  if not method then return not path:find("^/grpc%.reflection%.") and wait_for_body(handle, NATIVE_WAIT) end
  local keyed = carries_key(headers)
  local asked = method.key_in == "headers" and not keyed
  -- Believing a key that is known costs no more than what everybody may send.
  if keyed and method.key_in and not method.streams then
    asked = caller.brings == "unproven" or method.max_message_bytes > API.max_body_bytes
  end
  local refusal = asked and ask(handle, headers, path, false)
  if refusal then return handle:respond(refusal, "") end
  if not method.streams then wait_for_body(handle, NATIVE_WAIT) end
end

-- Before any of a body is held: refuses one that nobody may send.
local function admit(handle, headers, request, path)
  local length = tonumber(headers:get("content-length") or "")
  -- What says nothing of its length may be chunked, which nothing here can see.
  if length == 0 then return end
  local method, name = method_of(request.method, path)
  if not method then return answer(handle, refusal_of(request, REFUSALS.NOT_FOUND), length) end
  -- Unread it would be called malformed, which says nothing to who compresses by habit.
  for coding in (headers:get("content-encoding") or ""):lower():gmatch("[^%s,]+") do
    if COMPRESSED[coding] then return answer(handle, refusal_of(request, REFUSALS.ENCODED_BODY), length) end
  end
  local too_large = refusal_of(request, REFUSALS.BODY_TOO_LARGE)
  if length and length > method.max_bytes then return answer(handle, too_large, length) end
  -- Who brings a key is believed for what little costs no more than asking.
  local keyed = carries_key(headers)
  local asked = method.key_in == "headers"
  if keyed then asked = method.key_in and (not length or length > UNASKED_BYTES) end
  local refusal = asked and ask(handle, headers, name, true)
  if refusal then return answer(handle, refusal, length) end
  wait_for_body(handle, {
    too_large = too_large,
    -- No 4xx: to daemons that is an answer, and a result that was dropped would never come again.
    too_many = refusal_of(request, REFUSALS.UNAVAILABLE),
    -- Of a form nobody here knows what is in it.
    malformed = not method.takes_form and refusal_of(request, REFUSALS.MALFORMED_JSON) or nil,
    max_values = method.max_values or API.max_values,
    body_key = (not length or length > UNASKED_BYTES) and not keyed and method.body_key or nil,
  })
end

return { admit = admit, admit_native = admit_native }
