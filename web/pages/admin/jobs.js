// Jobs of all renters: filtered by the server, page by page.

import { h } from "../../vendor/preact.js";
import { useEffect, useMemo, useState } from "../../vendor/hooks.js";
import { Act, moreOf } from "../../components/act.js";
import { Status } from "../../components/badge.js";
import { StatusField, TextField } from "../../components/field.js";
import { Figures } from "../../components/figure.js";
import { Liveness } from "../../components/liveness.js";
import { loaded } from "../../components/notice.js";
import { jobId, word } from "../../components/word.js";
import { table } from "../../components/table.js";
import { call } from "../../runtime/api.js";
import { ago, money, number } from "../../runtime/format.js";
import { useJobs } from "../../runtime/live.js";
import { useMore } from "../../runtime/load.js";
import texts from "../../text/admin.js";
import words from "../../text/words.js";
import { useSettled } from "./settled.js";

/** @typedef {import("../../runtime/api.js").Schemas["AdminJob"]} AdminJob */

const PAGE = 100;
const RELOAD_MS = 15_000;
// Of a whole market, whose page may stay open for days; 2,000 open ones are told at most.
const MOST_MOVING = 5_000;
const STATES = /** @type {const} */ (["queued", "pending", "running", "completed", "failed", "cancelled"]);

export default function Jobs() {
  const t = texts();
  const [status, setStatus] = useState("");
  const [text, setText] = useState("");
  const search = useSettled(text.trim());
  const jobs = useMore(
    async (page, signal) => {
      const query = { page: page + 1, limit: PAGE, ...(status ? { status } : {}), ...(search ? { search } : {}) };
      const told = await call("GET /admin/jobs", { query, signal });
      return { rows: told.jobs, hasMore: page + 1 < told.pagination.pages, told };
    },
    [status, search],
  );
  const { rows: moving, isLive, error } = useJobs(MOST_MOVING);
  const { rows, newer } = useMemo(() => merged(jobs.value?.rows ?? [], moving ?? []), [jobs.value, moving]);
  useReload(jobs, rows);
  return h(
    "div",
    null,
    h("h1", null, t.jobs),
    h(Liveness, { isLive, error }),
    h(
      "div",
      { class: "filters", role: "search" },
      h(TextField, { label: t.search, type: "search", value: text, set: setText }),
      h(StatusField, { label: t.status, value: status, set: setStatus, states: STATES, any: t.anyState }),
    ),
    loaded(jobs, ({ told: { stats }, more }) =>
      h(
        "div",
        null,
        h(Figures, {
          of: [
            [t.jobs, number(stats.total)],
            [t.completed, number(stats.completed)],
            [t.failed, number(stats.failed)],
            [t.openJobs, number(stats.active)],
            [t.charged, money(stats.total_revenue_halala)],
          ],
        }),
        newer > 0 &&
          !status &&
          !search &&
          h(
            "p",
            { class: "acts" },
            h(Act, { act: jobs.reload, kind: "plain", children: t.newJobs(number(newer), newer) }),
          ),
        listed(rows),
        moreOf(more),
      ),
    ),
  );
}

/**
 * What was listed, as it is now by the stream, and how many have come since.
 *
 * @param {AdminJob[]} listed @param {import("../../runtime/live.js").LiveJob[]} moving
 */
function merged(listed, moving) {
  const known = new Map(moving.map((job) => [job.id, job]));
  const newest = listed.reduce((most, job) => Math.max(most, job.id), 0);
  const rows = listed.map((job) => {
    const now = known.get(job.id);
    return now && now.status !== job.status ? { ...job, status: now.status, cost_halala: now.cost_halala } : job;
  });
  return { rows, newer: newest ? moving.filter((job) => job.id > newest).length : 0 };
}

/** Ask again, a while after a listed job ended: whose fault it was, and the sums, no stream tells. @param {{value: {rows: AdminJob[]} | undefined, reload: () => void}} jobs @param {AdminJob[]} rows */
function useReload(jobs, rows) {
  const isOld = rows.some((job, at) => job.status !== jobs.value?.rows[at]?.status);
  useEffect(() => {
    if (!isOld) return undefined;
    const timer = setTimeout(jobs.reload, RELOAD_MS);
    return () => clearTimeout(timer);
  }, [isOld, jobs.value]);
}

/** @param {AdminJob[]} rows */
function listed(rows) {
  const t = texts();
  return table({
    caption: t.jobs,
    rows,
    empty: t.noJobs,
    keyOf: (row) => row.id,
    href: (row) => `#/jobs/${encodeURIComponent(row.job_id)}`,
    columns: [
      { key: "job", title: t.job, cell: (row) => jobId(row.job_id), sort: (row) => row.id, width: 225 },
      {
        key: "status",
        title: t.status,
        cell: (row) => h(Status, { of: row.status }),
        sort: (row) => row.status,
        width: 110,
      },
      {
        key: "renter",
        title: t.renter,
        cell: (row) => h("bdi", null, row.renter_name),
        sort: (row) => row.renter_name,
        isExtra: true,
      },
      {
        key: "provider",
        title: t.provider,
        cell: (row) => h("bdi", null, row.provider_name ?? "–"),
        sort: (row) => row.provider_name ?? "",
        isExtra: true,
      },
      {
        key: "cost",
        title: t.cost,
        cell: (row) => money(row.actual_cost_halala ?? row.cost_halala),
        sort: (row) => row.actual_cost_halala ?? row.cost_halala,
        isNumber: true,
        width: 95,
      },
      {
        key: "fault",
        title: t.fault,
        cell: (row) => row.fault && word(words().faults, row.fault),
        isExtra: true,
        width: 150,
      },
      {
        key: "submitted",
        title: t.submitted,
        cell: (row) => ago(row.submitted_at),
        sort: (row) => row.submitted_at,
        isExtra: true,
        width: 120,
      },
    ],
  });
}
