// Submit a job over native gRPC and watch it to its end, with code that `buf generate` made.
// Reads DC1_URL and DC1_RENTER_KEY: `.venv/bin/buf generate && node examples/watch_job.ts "Why is the sea blue?"`, by Node 22.18 or newer.
import { createClient, type Interceptor } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";

import { JobService } from "../build/generate/typescript/dcp/v1/job_service_pb.js";

// In place of the package @types/node, of which this needs no more.
declare const process: { env: Record<string, string>; argv: string[] };

const key: Interceptor = (next) => (request) => {
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
