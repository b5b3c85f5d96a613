// Submit a job over native gRPC and watch it to its end, with code that `buf generate` made (for TypeScript, too).
// Reads DC1_URL and DC1_RENTER_KEY: `.venv/bin/buf generate && node examples/watch_job.mjs "Why is the sea blue?"`.
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";

import { JobService } from "../build/generate/typescript/dcp/v1/job_service_pb.js";

const key = (next) => (request) => {
  request.header.set("x-renter-key", process.env.DC1_RENTER_KEY);
  return next(request);
};
const jobs = createClient(JobService, createGrpcTransport({ baseUrl: process.env.DC1_URL, interceptors: [key] }));

const order = { jobType: "llm_inference", durationMinutes: 3, params: { prompt: process.argv[2] } };
const { jobId } = await jobs.submitJob(order);
for await (const { said } of jobs.watchJob({ jobId })) {
  if (said.case === "line") console.log(said.value.line);
}
const { result, actualCostHalala } = await jobs.getResult({ jobId });
console.log(result.value, Number(actualCostHalala), "halala");
