// Jobs in a table, as lists and streams tell of them.

import { h } from "../../vendor/preact.js";
import { Status } from "../../components/badge.js";
import { jobId, jobType } from "../../components/word.js";
import { table } from "../../components/table.js";
import { ago, money } from "../../runtime/format.js";
import texts from "../../text/renter.js";

/** @typedef {import("../../runtime/api.js").Schemas["LiveJob"]} LiveJob */
/**
 * What a row shows, of whatever tells of a job.
 *
 * @typedef {Pick<LiveJob, "id" | "job_id" | "job_type" | "model" | "status" | "progress_phase" | "cost_halala" | "submitted_at">} JobFacts
 */

/** @param {JobFacts[]} rows @param {string} caption @param {string} empty */
export function jobTable(rows, caption, empty) {
  const t = texts();
  return table({
    caption,
    rows,
    empty,
    keyOf: (row) => row.id,
    href: (row) => `#/jobs/${encodeURIComponent(row.job_id)}`,
    columns: [
      { key: "id", title: t.id, cell: (row) => jobId(row.job_id), sort: (row) => row.id, width: 230 },
      {
        key: "status",
        title: t.status,
        cell: (row) => h(Status, { of: row.status }),
        sort: (row) => row.status,
        width: 110,
      },
      {
        key: "cost",
        title: t.cost,
        cell: (row) => money(row.cost_halala),
        sort: (row) => row.cost_halala,
        isNumber: true,
        width: 90,
      },
      {
        key: "type",
        title: t.type,
        cell: (row) => jobType(row.job_type),
        sort: (row) => row.job_type,
        isExtra: true,
        width: 130,
      },
      {
        key: "model",
        title: t.model,
        cell: (row) => h("bdi", null, row.model ?? "–"),
        sort: (row) => row.model ?? "",
        isExtra: true,
        width: 190,
      },
      {
        key: "submitted",
        title: t.submitted,
        cell: (row) => ago(row.submitted_at),
        sort: (row) => row.submitted_at,
        isExtra: true,
        width: 110,
      },
    ],
  });
}
