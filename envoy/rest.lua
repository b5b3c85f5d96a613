-- Gives REST the shape of the contract; native gRPC passes as it is.
--
-- Request: keys leave the URL before anything logs it, the three base paths become one, and bodies that nobody may send are refused
-- before any of them is held.
-- Response: the status and the error body that the service chose replace what the transcoder made of the gRPC status, and the
-- gateway's own errors get the texts of the contract.

-- What the protos say of the edge: limits, prefixes, carriers of keys, and every text but those of single fields.
local API = require("gen.edge")
local REFUSALS = API.refusals

-- What this edge proves itself by to servers on TCP; nil before a Unix socket. src/dc1/edge/config.py puts it in front.
local EDGE_PROOF = dc1_edge_proof

-- What a refusal of the edge's own limits says to this script only.
local OWN_HEADERS = { "x-http-status", "x-error-body" }

-- Left over from the gRPC answer that a REST answer was made of.
local GRPC_HEADERS = {
  "x-http-status", "x-error-body", "grpc-status", "grpc-message", "grpc-status-details-bin", "grpc-encoding",
  "grpc-accept-encoding",
}

-- What an answer without a body may not say of one.
local BODY_HEADERS = { "content-type", "content-length" }

-- Answers to requests that carried a key in the query.
local DEPRECATION = {
  ["deprecation"] = "true",
  ["sunset"] = "Fri, 31 Dec 2027 23:59:59 GMT",
  ["link"] = '</docs/openapi.yaml>; rel="deprecation"; type="application/yaml"',
}

-- Envoy's own CORS filter answers preflights with 200, and OPTIONS without an origin not at all.
local METHODS = "GET, POST, PUT, PATCH, DELETE, OPTIONS"
local PREFLIGHT = {
  ["access-control-allow-methods"] = METHODS,
  ["access-control-allow-headers"] = "authorization, content-type, idempotency-key, last-event-id, x-renter-key, x-provider-key, "
    .. "x-admin-token, x-request-id",
  ["access-control-max-age"] = "86400",
}
local EXPOSED = "retry-after, idempotent-replayed, ratelimit-policy, ratelimit-limit, ratelimit-remaining, ratelimit-reset, "
  .. "x-request-id, deprecation, sunset, link"

-- What these methods take is in their bodies, and may be in that of a DELETE.
local TAKES_BODY = { POST = true, PUT = true, PATCH = true }

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
-- Who says that more will come is not listened to.
local HEARD_OUT_BYTES = 67108864
-- HTTP/2 has verbs of any length, and each is logged.
local VERB_CHARACTERS = 16

-- As the transcoder and the routes tell it: what one of them takes for REST must not pass here as native, unseen.
local function is_grpc(content_type)
  return content_type == "application/grpc" or (content_type or ""):find("^application/grpc%+") ~= nil
end

local function remove_all(headers, names)
  for _, name in ipairs(names) do headers:remove(name) end
end

-- The service believes what the edge says, and Envoy obeys headers of its own: a client's copy of either is taken out.
local function remove_forged(headers)
  remove_all(headers, API.edge_headers)
  local found = {}
  for name in pairs(headers) do
    for _, prefix in ipairs(API.edge_header_prefixes) do
      if name:sub(1, #prefix) == prefix then found[#found + 1] = name end
    end
  end
  remove_all(headers, found)
end

-- As metadata these would end the call instead of reaching the service, which reads no header of such a name.
local function remove_unsendable(headers)
  local found = {}
  for name in pairs(headers) do
    if not name:find("^:?[%w_.-]+$") or name:find("-bin$") or name:find("^grpc%-") then found[#found + 1] = name end
  end
  remove_all(headers, found)
end

local function percent_decode(text)
  return (text:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
end

local function is_utf8(text)
  if not text:find("[\128-\255]") then return true end
  local rest = text
    :gsub("[\194-\223][\128-\191]", " ")
    :gsub("\224[\160-\191][\128-\191]", " ")
    :gsub("\237[\128-\159][\128-\191]", " ")
    :gsub("[\225-\236\238\239][\128-\191][\128-\191]", " ")
    :gsub("\240[\144-\191][\128-\191][\128-\191]", " ")
    :gsub("[\241-\243][\128-\191][\128-\191][\128-\191]", " ")
    :gsub("\244[\128-\143][\128-\191][\128-\191]", " ")
  return not rest:find("[\128-\255]")
end

-- An undecodable URL would reach the service as a message that it cannot parse.
local function is_decodable(url)
  return not url:gsub("%%%x%x", ""):find("%", 1, true) and is_utf8(percent_decode(url))
end

-- The path as it may be logged: a key that was put into it is masked.
local function loggable(path)
  -- Cut after masking, so that no half of a key is left: a path may have 60 KB, and a line twice that.
  return percent_decode(path):gsub("(dc1%-%a+%-)[%w_-]+", "%1***"):sub(1, 512)
end

local function starts_with_any(path, patterns)
  for _, pattern in ipairs(patterns) do
    if path:find(pattern) then return true end
  end
  return false
end

-- Some routes exist at the root only, so a prefix before them stays and the path is unknown.
local function without_base_path(path)
  for _, prefixed in ipairs(API.base_paths) do
    local bare = path:match(prefixed)
    if bare then return starts_with_any(bare, API.root_only) and path or bare end
  end
  return path
end

-- Moves keys from the query into headers; returns what is left of the query and whether there was one.
local function take_query_keys(query, headers)
  local kept, found = {}, false
  for pair in query:gmatch("[^&]+") do
    local name, value = pair:match("^([^=]*)=?(.*)$")
    local header = API.query_keys[percent_decode(name)]
    if not header then
      kept[#kept + 1] = pair
    else
      found = true
      -- No key has other characters, and a line break must not become a header of its own.
      value = percent_decode((value:gsub("%+", " "))):gsub("[^\32-\126]", "?")
      if not headers:get(header) and value:find("%S") then headers:add(header, value) end
    end
  end
  return table.concat(kept, "&"), found
end

-- Older daemons put their key in the place of an id, as in GET /providers/{api_key}/jobs. It is moved into a header; with a Bearer
-- the call is the poll for work, without one a list that hands out nothing. Returns the path that is left and whether there was one.
local function take_path_key(path, headers)
  for _, place in ipairs(API.keys_in_path) do
    local segment = path:match(place.path)
    if segment and segment ~= "me" and not segment:find("^%d+$") then
      local key = percent_decode(segment):gsub("[^\32-\126]", "?")
      if not headers:get(place.header) then headers:add(place.header, key) end
      local has_bearer = (headers:get("authorization") or ""):lower():find("^bearer ") ~= nil
      return has_bearer and place.bearer_path or place.plain_path, true
    end
  end
  return path, false
end

-- What is called, and by which name; nil where no method has the path.
local function method_of(verb, path)
  for _, route in ipairs(API.routes[verb] or {}) do
    if path:find(route.path) then return API.methods[route.method], route.method end
  end
end

local function carries_key(headers)
  for _, name in ipairs(API.credentials) do
    if (headers:get(name) or ""):find("%S") then return true end
  end
  return false
end

-- Without a refusal: what there is to say of the status alone. One that is not listed reads like 500 or, below it, like 400.
local function error_body(status, request, refusal)
  refusal = refusal or REFUSALS[API.refusal_of_status[status] or API.refusal_of_status[status < 500 and 400 or 500]]
  local text, code, openai_code = refusal.text, refusal.code, refusal.openai_code
  if request.v1 then
    local retryable = status == 429 or status == 503 or status == 504
    return string.format('{"error":{"message":"%s","type":"%s","code":"%s","status":%d,"retryable":%s}}',
      text, openai_code, openai_code, status, tostring(retryable))
  end
  return string.format(code and '{"error":"%s","code":"%s"}' or '{"error":"%s"}', text, code)
end

-- The origin as it may be echoed, nil unless the deployment lists it (`*` lists all), and whether the deployment lists any.
local function listed_origin(handle, origin)
  local origins = handle:metadata():get("cors_origins") or {}
  for _, listed in ipairs(origins) do
    if origin and (listed == origin or listed == "*") then return origin, true end
  end
  return nil, #origins > 0
end

local function answer_options(handle, origin, is_listed)
  local answer = { [":status"] = "204", ["allow"] = METHODS }
  if is_listed or not origin then
    for name, value in pairs(PREFLIGHT) do answer[name] = value end
  end
  handle:respond(answer, "")
end

-- The answer passes envoy_on_response, which makes the body of it.
local function refusal_of(request, refusal)
  return { [":status"] = tostring(refusal.status), ["x-error-body"] = error_body(refusal.status, request, refusal) }
end

local function refuse(handle, request, refusal)
  handle:respond(refusal_of(request, refusal), "")
end

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

-- Answers in place of the service. Over HTTP/1.1 Envoy goes on reading for a while; of HTTP/2 many clients would see the stream end
-- and not the answer while they still send, so it waits for their end, and bodies.lua drops what comes.
local function answer(handle, headers, length)
  if handle:streamInfo():protocol() ~= "HTTP/2" or (length or 0) > HEARD_OUT_BYTES then return handle:respond(headers, "") end
  wait_for_body(handle, { refusal = headers })
end

-- Whether an answer to a call of this method says that the key is good.
local function proves(method) return method ~= nil and method.key_in ~= nil end

-- What a server made of the caller's key, for callers.lua.
local function pass_judgement(metadata, headers, request)
  local chosen = headers:get("x-http-status")
  if chosen == "401" or chosen == "429" then return metadata:set("dc1.caller", "verdict", "refused") end
  local is_served = headers:get(":status") == "200" and (headers:get("grpc-status") or "0") == "0"
  if not request.proves or not is_served then return end
  metadata:set("dc1.caller", "verdict", "taken")
  metadata:set("dc1.caller", "stays", request.streams == true)
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
    malformed = refusal_of(request, REFUSALS.MALFORMED_JSON),
    max_values = method.max_values or API.max_values,
    body_key = (not length or length > UNASKED_BYTES) and not keyed and method.body_key or nil,
  })
end

function envoy_on_request(handle)
  local headers = handle:headers()
  remove_forged(headers)

  local method = headers:get(":method")
  local path, query = headers:get(":path"):match("^([^?]*)%??(.*)$")
  local metadata = handle:streamInfo():dynamicMetadata()
  -- Of callers.lua, which is not asked where nothing is limited.
  local caller = metadata:get("dc1.caller") or {}
  if is_grpc(headers:get("content-type")) then
    local called = API.methods[path]
    metadata:set("dc1", "request", {
      native = true, method = method:sub(1, VERB_CHARACTERS), path = loggable(path), proves = proves(called),
      streams = called ~= nil and called.streams,
    })
    return admit_native(handle, headers, path, caller)
  end

  path = without_base_path((path:gsub("^//+", "/")))
  local in_path, in_query
  query, in_query = take_query_keys(query, headers)
  path, in_path = take_path_key(path, headers)
  local request = {
    method = method:sub(1, VERB_CHARACTERS),
    path = loggable(path),
    v1 = path:find("^/v1/") ~= nil,
    reads = method == "GET",
    head = method == "HEAD",
    deprecated = in_query or in_path,
  }
  request.origin, request.by_origin = listed_origin(handle, headers:get("origin"))
  -- Looked up for few: of a key that is known nobody needs to know.
  if caller.asks then request.proves = proves((method_of(method, path))) end
  metadata:set("dc1", "request", request)

  local decodable = is_decodable(path .. query)
  -- The transcoder would read fields of a body from the query, too.
  if TAKES_BODY[method] then query = "" end
  remove_unsendable(headers)
  -- What the service logs and judges by: the transcoder writes over the method and the path of the request itself.
  headers:replace("x-rest", "1")
  headers:replace("x-rest-method", method)
  headers:replace("x-rest-path", path)
  headers:replace(":path", query == "" and path or path .. "?" .. query)
  if not decodable then return refuse(handle, request, REFUSALS.MALFORMED_URL) end
  if method == "OPTIONS" then return answer_options(handle, headers:get("origin"), request.origin) end
  -- The transcoder would take a path with a trailing slash for the one without.
  if path:find("./$") then return refuse(handle, request, REFUSALS.NOT_FOUND) end
  -- What others are asked for is in their paths.
  if TAKES_BODY[method] or method == "DELETE" then admit(handle, headers, request, path) end
end

-- The transcoder names the field whose value does not fit its type; everything else it refuses is no JSON object, or a query that
-- names a field twice.
local function unreadable(request, reply)
  if not reply:find("json_transcode_failure", 1, true) then return error_body(400, request) end
  local field = reply:match('"error":"([%w_.]+): invalid value')
  if not field and request.reads then return error_body(400, request, REFUSALS.MALFORMED_URL) end
  if not field or request.v1 then return error_body(400, request, REFUSALS.MALFORMED_JSON) end
  local fault = string.format('{"field":"%s","message":"invalid value"}', field)
  local refusal = REFUSALS.VALIDATION_FAILED
  return string.format('{"error":"%s","code":"%s","fields":[%s]}', refusal.text, refusal.code, fault)
end

function envoy_on_response(handle)
  local metadata = handle:streamInfo():dynamicMetadata()
  local seen = metadata:get("dc1")
  local request, headers = seen and seen.request or {}, handle:headers()
  if seen then pass_judgement(metadata, headers, request) end
  if request.native then return end

  -- Refused before the request was looked at here: that it was native says the answer alone.
  if not seen and is_grpc(headers:get("content-type")) then return remove_all(headers, OWN_HEADERS) end
  local chosen, answer = headers:get("x-http-status"), headers:get("x-error-body")
  local status = tonumber(chosen or headers:get(":status"))
  -- CANCELLED: the service gave up a call that it could not come to. 499 says that the client did, which still waits.
  if status == 499 then status = 503 end
  -- RESOURCE_EXHAUSTED that the service did not choose: the message that the body became is too large for gRPC.
  if status == 429 and not chosen then status = 413 end
  remove_all(headers, GRPC_HEADERS)
  headers:replace(":status", tostring(status))
  if status == 204 then remove_all(headers, BODY_HEADERS) end
  if request.deprecated then
    for name, value in pairs(DEPRECATION) do headers:replace(name, value) end
  end
  if request.origin then
    headers:replace("access-control-allow-origin", request.origin)
    headers:replace("access-control-expose-headers", EXPOSED)
  end
  -- Also where the answer names no origin: a cache must not give it to a page of one that is listed.
  if request.by_origin then headers:add("vary", "origin") end
  -- No path has a method HEAD, and a body here would be read as the start of the next answer.
  if request.head then
    headers:replace("content-type", "application/json")
    return headers:replace("content-length", tostring(#(answer or error_body(status, request))))
  end

  if status >= 400 and (answer or not chosen) then
    local body = handle:body(true)
    if status == 400 then answer = answer or unreadable(request, body:getBytes(0, body:length())) end
    answer = answer or error_body(status, request)
    local size = body:setBytes(answer)
    headers = handle:headers() -- what was fetched before a wait may not be used after it
    headers:replace("content-type", "application/json")
    headers:replace("content-length", tostring(size))
    return
  end

  -- Waits for the end of a live answer without holding any of it back.
  local trailers = not headers:get("content-length") and handle:trailers()
  if trailers then remove_all(trailers, GRPC_HEADERS) end
end
