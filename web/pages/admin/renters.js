// Renters: found by name, address or id.

import { h } from "../../vendor/preact.js";
import { useState } from "../../vendor/hooks.js";
import { moreOf } from "../../components/act.js";
import { Status } from "../../components/badge.js";
import { TextField } from "../../components/field.js";
import { loaded } from "../../components/notice.js";
import { table } from "../../components/table.js";
import { call } from "../../runtime/api.js";
import { day, money, number } from "../../runtime/format.js";
import { useMore } from "../../runtime/load.js";
import texts from "../../text/admin.js";
import { useSettled } from "./settled.js";

const PAGE = 100;

export default function Renters() {
  const t = texts();
  const [text, setText] = useState("");
  const search = useSettled(text.trim());
  const renters = useMore(
    async (page, signal) => {
      const query = { page: page + 1, limit: PAGE, ...(search ? { search } : {}) };
      const told = await call("GET /admin/renters", { query, signal });
      return { rows: told.renters, hasMore: page + 1 < told.pagination.pages, told };
    },
    [search],
  );
  return h(
    "div",
    null,
    h("h1", null, t.renters),
    h(
      "div",
      { class: "filters", role: "search" },
      h(TextField, { label: t.search, type: "search", value: text, set: setText }),
    ),
    loaded(renters, ({ rows, told, more }) =>
      h(
        "div",
        null,
        h("p", { class: "quiet" }, t.ofThese(number(rows.length), number(told.pagination.total))),
        table({
          caption: t.renters,
          rows,
          empty: t.noRenters,
          keyOf: (row) => row.id,
          href: (row) => `#/renters/${row.id}`,
          columns: [
            {
              key: "name",
              title: t.name,
              cell: (row) => h("bdi", null, row.name),
              sort: (row) => row.name,
              width: 170,
            },
            {
              key: "status",
              title: t.status,
              cell: (row) => h(Status, { of: row.status }),
              sort: (row) => row.status,
              width: 110,
            },
            {
              key: "balance",
              title: t.balance,
              cell: (row) => money(row.balance_halala),
              sort: (row) => row.balance_halala,
              isNumber: true,
              width: 110,
            },
            {
              key: "spent",
              title: t.spent,
              cell: (row) => money(row.total_spent_halala),
              sort: (row) => row.total_spent_halala,
              isNumber: true,
              isExtra: true,
              width: 110,
            },
            {
              key: "jobs",
              title: t.jobs,
              cell: (row) => number(row.total_jobs),
              sort: (row) => row.total_jobs,
              isNumber: true,
              isExtra: true,
              width: 85,
            },
            { key: "email", title: t.email, cell: (row) => h("bdi", null, row.email), isExtra: true },
            {
              key: "since",
              title: t.since,
              cell: (row) => day(row.created_at),
              sort: (row) => row.created_at,
              isExtra: true,
              width: 125,
            },
          ],
        }),
        moreOf(more),
      ),
    ),
  );
}
