// The newest jobs of a machine or a renter.

import { h } from "../../vendor/preact.js";
import { Status } from "../../components/badge.js";
import { table } from "../../components/table.js";
import { jobId } from "../../components/word.js";
import { When } from "../../components/when.js";
import texts from "../../text/admin.js";

/**
 * @template {{job_id: string, status: string, submitted_at: string}} Job
 * @param {Job[]} rows
 * @param {import("../../components/table.js").Column<Job>[]} [more] what else is told of each
 */
export function newestJobs(rows, more = []) {
  const t = texts();
  const shown = table({
    caption: t.recentJobs,
    rows,
    keyOf: (row) => row.job_id,
    href: (row) => `#/jobs/${encodeURIComponent(row.job_id)}`,
    columns: [
      { key: "job", title: t.job, cell: (row) => jobId(row.job_id), width: 230 },
      { key: "status", title: t.status, cell: (row) => h(Status, { of: row.status }), width: 115 },
      ...more,
      { key: "submitted", title: t.submitted, cell: (row) => h(When, { at: row.submitted_at }), isExtra: true },
    ],
  });
  return h("section", { "aria-labelledby": "newest" }, h("h2", { id: "newest" }, t.recentJobs), shown);
}
