// What is wrong in the fleet now.

import { h } from "../../vendor/preact.js";
import { Badge } from "../../components/badge.js";
import { loaded } from "../../components/notice.js";
import { word } from "../../components/word.js";
import { table } from "../../components/table.js";
import { call } from "../../runtime/api.js";
import { ago, number } from "../../runtime/format.js";
import { useLoad } from "../../runtime/load.js";
import texts from "../../text/admin.js";
import words from "../../text/words.js";

const EVERY_SECONDS = 15;

export default function Alerts() {
  const t = texts();
  const alerts = useLoad((signal) => call("GET /admin/fleet/alerts", { signal }), [], EVERY_SECONDS);
  return h(
    "div",
    null,
    h("h1", null, t.alerts),
    loaded(alerts, ({ alerts: rows }) =>
      table({
        caption: t.alerts,
        rows,
        empty: t.noAlerts,
        keyOf: (row) => `${row.provider_id} ${row.reason}`,
        href: (row) => `#/machines/${row.provider_id}`,
        columns: [
          { key: "machine", title: t.machine, cell: (row) => number(row.provider_id), width: 100 },
          {
            key: "reason",
            title: t.reason,
            cell: (row) => h(Badge, { kind: "bad", children: word(words().alerts, row.reason) }),
            sort: (row) => row.reason,
            width: 190,
          },
          { key: "since", title: t.since, cell: (row) => ago(row.since), sort: (row) => row.since, width: 140 },
          { key: "detail", title: t.detail, cell: (row) => h("bdi", null, row.detail ?? ""), isExtra: true },
        ],
      }),
    ),
  );
}
