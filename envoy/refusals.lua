-- What the edge says in place of the service.

local API = require("gen.edge")
local REFUSALS = API.refusals

-- Without a refusal: what there is to say of the status alone. One that is not listed reads like 500 or, below it, like 400.
local function error_body(status, request, refusal)
  refusal = refusal or REFUSALS[API.refusal_of_status[status] or API.refusal_of_status[status < 500 and 400 or 500]]
  local text, code, openai_code = refusal.text, refusal.code, refusal.openai_code
  -- Beside the English text, which is what clients match on.
  local arabic = request.arabic and string.format(',"message_ar":"%s"', refusal.text_ar) or ""
  if request.messages then
    return string.format('{"type":"error","error":{"type":"%s","message":"%s"%s}}', refusal.anthropic_type, text, arabic)
  end
  if request.v1 then
    local retryable = status == 429 or status == 503 or status == 504
    return string.format('{"error":{"message":"%s","type":"%s","code":"%s","status":%d,"retryable":%s%s}}',
      text, openai_code, openai_code, status, tostring(retryable), arabic)
  end
  return string.format('{"error":"%s"%s,"code":"%s"}', text, arabic, code)
end

-- The answer passes envoy_on_response, which makes the body of it.
local function refusal_of(request, refusal)
  return { [":status"] = tostring(refusal.status), ["x-error-body"] = error_body(refusal.status, request, refusal) }
end

local function refuse(handle, request, refusal)
  handle:respond(refusal_of(request, refusal), "")
end

return { body = error_body, headers = refusal_of, refuse = refuse }
