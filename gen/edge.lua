-- Written by `make gen` from proto/: what envoy/rest.lua has to know of the API. Never edited by hand.
return {
  max_body_bytes = 2097152,
  larger_bodies = {
    { path = "^/jobs/[^/]+/result$", max_bytes = 10485760 },
    { path = "^/providers/job%-result$", max_bytes = 10485760 },
  },
  base_paths = { "^/api/dc1(/.+)$", "^/api(/.+)$" },
  root_only = { "^/v1/", "^/docs/" },
  edge_headers = { "x-rest", "x-rest-method", "x-rest-path", "x-client-address", "x-http-status", "x-error-body", "x-query-key", "x-query-provider-key", "x-query-renter-key" },
  query_keys = { key = "x-query-key", renter_key = "x-query-renter-key", provider_key = "x-query-provider-key" },
  keys_in_path = {
    { path = "^/providers/([^/]+)/jobs$", header = "x-query-provider-key", plain_path = "/providers/me/jobs", bearer_path = "/providers/jobs/next" },
  },
  refusals = {
    BAD_REQUEST = { status = 400, text = "Bad request", openai_code = "invalid_request_error" },
    MALFORMED_URL = { status = 400, text = "Malformed URL", openai_code = "invalid_request_error" },
    MALFORMED_JSON = { status = 400, text = "Malformed JSON body", openai_code = "invalid_request_error", code = "MALFORMED_JSON" },
    VALIDATION_FAILED = { status = 400, text = "Validation failed", openai_code = "invalid_request_error", code = "VALIDATION_FAILED" },
    FORBIDDEN = { status = 403, text = "Forbidden", openai_code = "invalid_request_error" },
    NOT_FOUND = { status = 404, text = "Not found", openai_code = "not_found" },
    BODY_TOO_LARGE = { status = 413, text = "Request body too large", openai_code = "invalid_request_error" },
    RATE_LIMITED = { status = 429, text = "Rate limit exceeded", openai_code = "rate_limit_exceeded" },
    HEADERS_TOO_LARGE = { status = 431, text = "Request header fields too large", openai_code = "invalid_request_error" },
    INTERNAL_ERROR = { status = 500, text = "Internal error", openai_code = "internal_error" },
    UNAVAILABLE = { status = 503, text = "Service unavailable", openai_code = "provider_unavailable", code = "UPSTREAM_UNAVAILABLE" },
    TIMEOUT = { status = 504, text = "Upstream timeout", openai_code = "upstream_timeout" },
  },
  refusal_of_status = { [400] = "BAD_REQUEST", [403] = "FORBIDDEN", [404] = "NOT_FOUND", [413] = "BODY_TOO_LARGE", [429] = "RATE_LIMITED", [431] = "HEADERS_TOO_LARGE", [500] = "INTERNAL_ERROR", [503] = "UNAVAILABLE", [504] = "TIMEOUT" },
}
