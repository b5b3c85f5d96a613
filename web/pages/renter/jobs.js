// All jobs of a renter: those that move now, and older ones page by page.

import { h } from "../../vendor/preact.js";
import { useMemo, useState } from "../../vendor/hooks.js";
import { moreOf } from "../../components/act.js";
import { StatusField } from "../../components/field.js";
import { Liveness } from "../../components/liveness.js";
import { Refused } from "../../components/notice.js";
import { call } from "../../runtime/api.js";
import { useJobs } from "../../runtime/live.js";
import { useMore } from "../../runtime/load.js";
import texts from "../../text/renter.js";
import { jobTable } from "./job_rows.js";

/** @typedef {import("./job_rows.js").JobFacts} JobFacts */

const PAGE = 100;
const MOST_MOVING = 2000;
const STATES = /** @type {const} */ (["queued", "pending", "running", "completed", "failed", "cancelled"]);
/** @typedef {(typeof STATES)[number]} State */

export default function Jobs() {
  const t = texts();
  const [status, setStatus] = useState("");
  const { rows: moving, isLive, error } = useJobs(MOST_MOVING);
  const older = useMore((page, signal) => listed(status, page, signal), [status]);
  const rows = useMemo(() => merged(moving ?? [], older.value?.rows ?? [], status), [moving, older.value, status]);
  return h(
    "div",
    null,
    h("h1", null, t.jobs),
    h(Liveness, { isLive, error }),
    error !== undefined && h(Refused, { error }),
    older.error !== undefined && h(Refused, { error: older.error, retry: older.reload }),
    h(
      "div",
      { class: "filters" },
      h(StatusField, { label: t.status, value: status, set: setStatus, states: STATES, any: t.anyStatus }),
    ),
    jobTable(rows, t.jobs, t.noJobs),
    moreOf(older.value?.more),
  );
}

/** @param {string} status @param {number} page @param {AbortSignal} signal */
async function listed(status, page, signal) {
  const query = { limit: PAGE, offset: page * PAGE, ...(status ? { status: /** @type {State} */ (status) } : {}) };
  const { jobs } = await call("GET /jobs", { query, signal });
  /** @type {JobFacts[]} */
  const rows = jobs.map((job) => ({ ...job, model: null, progress_phase: null }));
  return { rows, hasMore: jobs.length === PAGE, told: null };
}

/** What moves now before what was listed; both tell of the same job, and the stream knows better. @param {JobFacts[]} moving @param {JobFacts[]} older @param {string} status */
function merged(moving, older, status) {
  const known = new Map(older.map((job) => [job.id, job]));
  for (const job of moving) known.set(job.id, job);
  return [...known.values()].filter((job) => !status || job.status === status).sort((one, other) => other.id - one.id);
}
