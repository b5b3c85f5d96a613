// All jobs of a renter: those that move now, and older ones page by page.

import { h } from "../../vendor/preact.js";
import { useMemo, useState } from "../../vendor/hooks.js";
import { SelectField } from "../../components/field.js";
import { Refused } from "../../components/notice.js";
import { call } from "../../runtime/api.js";
import { useLoad } from "../../runtime/load.js";
import common from "../../text/common.js";
import texts from "../../text/renter.js";
import { jobTable, useJobs } from "./job_rows.js";

/** @typedef {import("./job_rows.js").JobFacts} JobFacts */

const PAGE = 100;
const STATES = /** @type {const} */ (["queued", "pending", "running", "completed", "failed", "cancelled"]);
/** @typedef {(typeof STATES)[number]} State */

export default function Jobs() {
  const t = texts();
  const [status, setStatus] = useState("");
  const [pages, setPages] = useState(1);
  const { rows: moving, isLive, error } = useJobs();
  const older = useLoad((signal) => listed(status, pages, signal), [status, pages]);
  const rows = useMemo(() => merged(moving ?? [], older.value?.rows ?? [], status), [moving, older.value, status]);
  const names = common().states;
  /** @type {[string, string][]} */
  const choices = [["", t.anyStatus], ...STATES.map((name) => /** @type {[string, string]} */ ([name, names[name]]))];
  /** @param {string} value */
  const choose = (value) => {
    setStatus(value);
    setPages(1);
  };
  return h(
    "div",
    null,
    h("h1", null, t.jobs),
    h("p", { class: "quiet", role: "status" }, isLive ? t.live : t.reconnecting),
    error !== undefined && h(Refused, { error }),
    older.error !== undefined && h(Refused, { error: older.error, retry: older.reload }),
    h("div", { class: "filters" }, h(SelectField, { label: t.status, value: status, set: choose, options: choices })),
    jobTable(rows, t.jobs, t.noJobs),
    older.value?.hasMore &&
      h("p", { class: "acts" }, h("button", { type: "button", onClick: () => setPages(pages + 1) }, t.olderJobs)),
  );
}

/** @param {string} status @param {number} pages @param {AbortSignal} signal */
async function listed(status, pages, signal) {
  /** @type {JobFacts[]} */
  const rows = [];
  let hasMore = true;
  for (let page = 0; page < pages && hasMore; page++) {
    const query = { limit: PAGE, offset: page * PAGE, ...(status ? { status: /** @type {State} */ (status) } : {}) };
    const { jobs } = await call("GET /jobs", { query, signal });
    rows.push(...jobs.map((job) => ({ ...job, model: null, progress_phase: null })));
    hasMore = jobs.length === PAGE;
  }
  return { rows, hasMore };
}

/** What moves now before what was listed; both tell of the same job, and the stream knows better. @param {JobFacts[]} moving @param {JobFacts[]} older @param {string} status */
function merged(moving, older, status) {
  const known = new Map(older.map((job) => [job.id, job]));
  for (const job of moving) known.set(job.id, job);
  return [...known.values()].filter((job) => !status || job.status === status).sort((one, other) => other.id - one.id);
}
