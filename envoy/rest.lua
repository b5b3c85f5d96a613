-- Gives REST the shape of the contract; native gRPC passes as it is.
--
-- Request: keys leave the URL before anything logs it, the three base paths become one, and bodies that nobody may send are refused
-- before any of them is held.
-- Response: the status and the error body that the service chose replace what the transcoder made of the gRPC status, and the
-- gateway's own errors get the texts of the contract.

-- What the protos say of the edge: limits, prefixes, carriers of keys, and every text but those of single fields.
local API = require("gen.edge")
local admission = require("envoy.admission")
local headers_of = require("envoy.headers")
local origins = require("envoy.origins")
local refusals = require("envoy.refusals")
local turns = require("envoy.turns")
local urls = require("envoy.urls")
local REFUSALS = API.refusals
local error_body, is_grpc, method_of, remove_all = refusals.body, headers_of.is_grpc, headers_of.method_of, headers_of.remove_all

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

-- What these methods take is in their bodies, and may be in that of a DELETE.
local TAKES_BODY = { POST = true, PUT = true, PATCH = true }

-- What a browser is given where a program is told what the service is.
local HOME, PAGE = "/", "/console"

-- HTTP/2 has verbs of any length, and each is logged.
local VERB_CHARACTERS = 16

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

-- Which method is called, for the counts of refusals in envoy.yaml: a name of the protos or nothing, as paths are for callers to make up.
local function note_called(metadata, verb, path)
  local name = API.methods[path] and path
  if not name then _, name = method_of(verb, urls.without_base_path((path:gsub("^//+", "/")))) end
  metadata:set("dc1.called", "method", name or "")
end

function envoy_on_request(handle)
  local headers = handle:headers()
  headers_of.remove_forged(headers)

  local method = headers:get(":method")
  -- CONNECT has none.
  local path, query = (headers:get(":path") or ""):match("^([^?]*)%??(.*)$")
  local metadata = handle:streamInfo():dynamicMetadata()
  -- Of callers.lua, which is not asked where nothing is limited.
  local caller = metadata:get("dc1.caller") or {}
  if is_grpc(headers:get("content-type")) then
    local called = API.methods[path]
    metadata:set("dc1", "request", {
      native = true, method = method:sub(1, VERB_CHARACTERS), path = urls.loggable(path), proves = proves(called),
      streams = called ~= nil and called.streams,
    })
    -- Whether it is refused may be said after its answer has passed.
    if called then note_called(metadata, method, path) end
    return admission.admit_native(handle, headers, path, caller)
  end

  path = urls.without_base_path((path:gsub("^//+", "/")))
  local in_path, in_query
  query, in_query = urls.take_query_keys(query, headers)
  path, in_path = urls.take_path_key(path, headers)
  local request = {
    method = method:sub(1, VERB_CHARACTERS),
    path = urls.loggable(path),
    v1 = path:find("^/v1/") ~= nil,
    messages = path:find("^/v1/messages%f[/%z]") ~= nil,
    reads = method == "GET",
    head = method == "HEAD",
    -- By the first language alone: what weighs them is in the server, and this is for what never comes there.
    arabic = (headers:get("accept-language") or ""):find("^%s*[aA][rR]%f[^%a]") ~= nil,
    deprecated = in_query or in_path,
    home = path == HOME,
  }
  request.origin, request.by_origin = origins.listed_origin(handle, headers:get("origin"))
  -- Looked up for few: of a key that is known nobody needs to know.
  if caller.asks then request.proves = proves((method_of(method, path))) end
  metadata:set("dc1", "request", request)

  local decodable = urls.is_decodable(path .. query)
  -- The transcoder would read fields of a body from the query, too.
  if TAKES_BODY[method] then query = "" end
  headers_of.remove_unsendable(headers)
  -- What the service logs and judges by: the transcoder writes over the method and the path of the request itself.
  headers:replace("x-rest", "1")
  headers:replace("x-rest-method", method)
  headers:replace("x-rest-path", path)
  if method == "GET" and query ~= "" then headers:replace("x-rest-query", urls.names_of(query)) end
  if request.reads and request.home and headers_of.prefers_html(headers:get("accept")) then path = PAGE end
  headers:replace(":path", query == "" and path or path .. "?" .. query)
  if not decodable then return refusals.refuse(handle, request, REFUSALS.MALFORMED_URL) end
  if method == "OPTIONS" then return origins.answer_options(handle, headers:get("origin"), request.origin) end
  -- The transcoder would take a path with a trailing slash for the one without.
  if path:find("./$") then return refusals.refuse(handle, request, REFUSALS.NOT_FOUND) end
  -- What others are asked for is in their paths.
  if TAKES_BODY[method] or method == "DELETE" then admission.admit(handle, headers, request, path) end
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
  -- With the field at the end of what is said otherwise.
  return (error_body(400, request, refusal):gsub("}$", string.format(',"fields":[%s]}', fault)))
end

function envoy_on_response(handle)
  local metadata = handle:streamInfo():dynamicMetadata()
  local seen = metadata:get("dc1")
  local request, headers = seen and seen.request or {}, handle:headers()
  if seen then pass_judgement(metadata, headers, request) end
  if request.native then
    -- Daemons' streams: nobody else comes with a whole fleet.
    if request.streams then turns.tell(handle, headers) end
    return
  end

  local asked = not seen and metadata:get("dc1.asked")
  if asked then note_called(metadata, asked.verb, asked.path:match("^[^?]*")) end
  -- Refused before the request was looked at here: that it was native says the answer alone.
  if not seen and is_grpc(headers:get("content-type")) then return remove_all(headers, OWN_HEADERS) end
  local chosen, answer = headers:get("x-http-status"), headers:get("x-error-body")
  local status = tonumber(chosen or headers:get(":status"))
  -- CANCELLED: the service gave up a call that it could not come to. 499 says that the client did, which still waits.
  if status == 499 then status = 503 end
  -- RESOURCE_EXHAUSTED that the service did not choose: the message that the body became is too large for gRPC.
  if status == 429 and not chosen then status = 413 end
  if status >= 400 and request.path then note_called(metadata, request.method, request.path) end
  remove_all(headers, GRPC_HEADERS)
  headers:replace(":status", tostring(status))
  if status == 204 then remove_all(headers, BODY_HEADERS) end
  if request.deprecated then
    for name, value in pairs(DEPRECATION) do headers:replace(name, value) end
  end
  origins.expose(headers, request)
  if request.home then headers:add("vary", "accept") end
  -- No path has a method HEAD, and a body here would be read as the start of the next answer.
  if request.head then
    headers:replace("content-type", "application/json")
    return headers:replace("content-length", tostring(#(answer or error_body(status, request))))
  end

  -- The caller has what the answer would say; an empty message is an object in JSON, and would be read as the start of the next answer.
  if status == 304 then
    handle:body(true):setBytes("")
    return remove_all(handle:headers(), BODY_HEADERS)
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
