// A renter registers, a provider's heartbeat arrives, the renter submits a job, the operator looks at the dashboard. Reads DC1_URL,
// DC1_PROVIDER_KEY (of an approved provider) and DC1_ADMIN_TOKEN: `node examples/core_calls.mjs`.

const { DC1_URL, DC1_PROVIDER_KEY, DC1_ADMIN_TOKEN } = process.env;

async function call(method, path, headers, body) {
  const response = await fetch(DC1_URL + path, {
    method,
    headers: { "content-type": "application/json", ...headers },
    body: body && JSON.stringify(body),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(`${response.status} ${answer.error}`);
  return answer;
}

const renter = await call("POST", "/renters/register", {}, { name: "Faisal Otaibi", email: "faisal@example.sa" });

const heartbeat = await call("POST", "/providers/heartbeat", { "x-provider-key": DC1_PROVIDER_KEY }, {
  gpu_status: { gpu_name: "NVIDIA GeForce RTX 4090", gpu_vram_mib: 24564, daemon_version: "3.3.0" },
});
console.log(heartbeat.timestamp);

const job = await call(
  "POST",
  "/jobs/submit",
  { "x-renter-key": renter.api_key, "idempotency-key": "node-example-1" },
  { job_type: "llm_inference", duration_minutes: 3, params: { prompt: "Why is the sea blue?" } },
);
console.log(job.job_id);

const dashboard = await call("GET", "/admin/dashboard", { "x-admin-token": DC1_ADMIN_TOKEN });
console.log(dashboard.stats.total_jobs);
