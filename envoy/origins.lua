-- What a page in a browser may read: answers to preflights, and the origins that a deployment lists.

-- Envoy's own CORS filter answers preflights with 200, and OPTIONS without an origin not at all.
local METHODS = "GET, POST, PUT, PATCH, DELETE, OPTIONS"
local PREFLIGHT = {
  ["access-control-allow-methods"] = METHODS,
  ["access-control-allow-headers"] = "authorization, content-type, idempotency-key, last-event-id, x-renter-key, x-provider-key, "
    .. "x-admin-token, x-api-key, x-request-id",
  ["access-control-max-age"] = "86400",
}
local EXPOSED = "retry-after, idempotent-replayed, ratelimit-policy, ratelimit-limit, ratelimit-remaining, ratelimit-reset, "
  .. "x-ratelimit-limit-requests, x-ratelimit-remaining-requests, x-ratelimit-reset-requests, "
  .. "x-ratelimit-limit-tokens, x-ratelimit-remaining-tokens, x-ratelimit-reset-tokens, "
  .. "x-request-id, deprecation, sunset, link"

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

local function expose(headers, request)
  if request.origin then
    headers:replace("access-control-allow-origin", request.origin)
    headers:replace("access-control-expose-headers", EXPOSED)
  end
  -- Also where the answer names no origin: a cache must not give it to a page of one that is listed.
  if request.by_origin then headers:add("vary", "origin") end
end

return { listed_origin = listed_origin, answer_options = answer_options, expose = expose }
