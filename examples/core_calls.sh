# A renter registers, a provider's heartbeat arrives, the renter submits a job, the operator looks at the dashboard. Reads DC1_URL,
# DC1_PROVIDER_KEY (of an approved provider) and DC1_ADMIN_TOKEN: `bash examples/core_calls.sh`.
set -euo pipefail

# Keys go to curl through a pipe, as everybody on the machine sees what stands on a command line.
key() { printf 'header = "%s: %s"\n' "$1" "$2"; }

renter_key=$(curl -sS --fail-with-body "$DC1_URL/renters/register" -H 'content-type: application/json' \
  -d '{"name":"Lama Qahtani","email":"lama@example.sa"}' | sed -E 's/.*"api_key": ?"([^"]+)".*/\1/')

curl -sS --fail-with-body "$DC1_URL/providers/heartbeat" \
  --config <(key x-provider-key "$DC1_PROVIDER_KEY") -H 'content-type: application/json' \
  -d '{"gpu_status":{"gpu_name":"NVIDIA GeForce RTX 4090","gpu_vram_mib":24564,"gpu_util_pct":37,"daemon_version":"3.3.0"}}'

curl -sS --fail-with-body "$DC1_URL/jobs/submit" \
  --config <(key x-renter-key "$renter_key") -H 'content-type: application/json' -H 'idempotency-key: curl-example-1' \
  -d '{"job_type":"llm_inference","duration_minutes":3,"params":{"prompt":"Why is the sea blue?"}}'

curl -sS --fail-with-body "$DC1_URL/admin/dashboard" --config <(key x-admin-token "$DC1_ADMIN_TOKEN")
