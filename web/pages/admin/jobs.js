// Jobs of all renters: filtered by the server, page by page.

import { h } from "../../vendor/preact.js";
import { useState } from "../../vendor/hooks.js";
import { Status } from "../../components/badge.js";
import { SelectField, TextField } from "../../components/field.js";
import { Figures } from "../../components/figure.js";
import { loaded } from "../../components/notice.js";
import { word } from "../../components/word.js";
import { table } from "../../components/table.js";
import { call } from "../../runtime/api.js";
import { ago, money, number } from "../../runtime/format.js";
import { useLoad } from "../../runtime/load.js";
import common from "../../text/common.js";
import texts from "../../text/admin.js";
import words from "../../text/words.js";
import { useSettled } from "./settled.js";

/** @typedef {import("../../runtime/api.js").Schemas["AdminJob"]} AdminJob */

const PAGE = 100;
const EVERY_SECONDS = 15;
const STATES = /** @type {const} */ (["queued", "pending", "running", "completed", "failed", "cancelled"]);

export default function Jobs() {
  const t = texts();
  const [status, setStatus] = useState("");
  const [text, setText] = useState("");
  const [pages, setPages] = useState(1);
  const search = useSettled(text.trim());
  const jobs = useLoad(
    async (signal) => {
      const query = { limit: PAGE, ...(status ? { status } : {}), ...(search ? { search } : {}) };
      const told = await call("GET /admin/jobs", { query: { ...query, page: 1 }, signal });
      const rows = told.jobs;
      for (let page = 2; page <= Math.min(pages, told.pagination.pages); page++)
        rows.push(...(await call("GET /admin/jobs", { query: { ...query, page }, signal })).jobs);
      return { ...told, jobs: rows };
    },
    [status, search, pages],
    EVERY_SECONDS,
  );
  const names = common().states;
  /** @type {[string, string][]} */
  const choices = [["", t.anyState], ...STATES.map((name) => /** @type {[string, string]} */ ([name, names[name]]))];
  return h(
    "div",
    null,
    h("h1", null, t.jobs),
    h(
      "div",
      { class: "filters", role: "search" },
      h(TextField, { label: t.search, type: "search", value: text, set: setText }),
      h(SelectField, { label: t.status, value: status, set: setStatus, options: choices }),
    ),
    loaded(jobs, ({ stats, jobs: rows, pagination }) =>
      h(
        "div",
        null,
        h(Figures, {
          of: [
            [t.jobs, number(stats.total)],
            [t.completed, number(stats.completed)],
            [t.failed, number(stats.failed)],
            [t.running, number(stats.active)],
            [t.charged, money(stats.total_revenue_halala)],
          ],
        }),
        listed(rows),
        rows.length < pagination.total &&
          h("p", { class: "acts" }, h("button", { type: "button", onClick: () => setPages(pages + 1) }, t.more)),
      ),
    ),
  );
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
      { key: "job", title: t.job, cell: (row) => h("bdi", null, row.job_id), sort: (row) => row.id, width: 225 },
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
        width: 80,
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
