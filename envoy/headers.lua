-- The headers of a request: what may stay of them, what they call and whether with a key.

local API = require("gen.edge")

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

-- How much a caller wants a kind of answer, 0 to 1; nil where it does not name it.
local function wanted(accept, kind)
  for range in accept:gmatch("[^,]+") do
    if range:match("^%s*([^;%s]*)") == kind then return tonumber(range:match(";%s*q=([%d.]+)") or "1") end
  end
end

-- Whether it is a page that a caller would rather have than JSON: browsers name one, programs anything or nothing.
local function prefers_html(accept)
  accept = (accept or ""):lower()
  local html = wanted(accept, "text/html") or 0
  return html > (wanted(accept, "application/json") or 0) and html >= (wanted(accept, "*/*") or 0)
end

return {
  prefers_html = prefers_html,
  is_grpc = is_grpc, remove_all = remove_all, remove_forged = remove_forged, remove_unsendable = remove_unsendable,
  method_of = method_of, carries_key = carries_key,
}
