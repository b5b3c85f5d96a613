// Who did what as an admin, and who tried.

import { h } from "../../vendor/preact.js";
import { moreOf } from "../../components/act.js";
import { loaded } from "../../components/notice.js";
import { table } from "../../components/table.js";
import { When } from "../../components/when.js";
import { call } from "../../runtime/api.js";
import { number } from "../../runtime/format.js";
import { useMore } from "../../runtime/load.js";
import texts from "../../text/admin.js";

const PAGE = 100;

export default function Audit() {
  const t = texts();
  const trail = useMore(async (page, signal) => {
    const told = await call("GET /admin/audit", { query: { page: page + 1, limit: PAGE }, signal });
    return { rows: told.entries, hasMore: page + 1 < told.pagination.pages, told };
  });
  return h(
    "div",
    null,
    h("h1", null, t.audit),
    loaded(trail, ({ rows, told, more }) =>
      h(
        "div",
        null,
        h("p", { class: "quiet" }, t.ofThese(number(rows.length), number(told.total))),
        table({
          caption: t.audit,
          rows,
          empty: t.noAudit,
          keyOf: (row) => row.id,
          columns: [
            { key: "when", title: t.when, cell: (row) => h(When, { at: row.at }), width: 180 },
            { key: "call", title: t.method, cell: (row) => h("code", null, `${row.method} ${row.path}`) },
            {
              key: "status",
              title: t.answered,
              cell: (row) => number(row.status),
              isNumber: true,
              isExtra: true,
              width: 90,
            },
            { key: "actor", title: t.actor, cell: (row) => h("bdi", null, row.actor), isExtra: true, width: 150 },
            {
              key: "address",
              title: t.address,
              cell: (row) => h("bdi", null, row.address ?? ""),
              isExtra: true,
              width: 150,
            },
          ],
        }),
        moreOf(more),
      ),
    ),
  );
}
