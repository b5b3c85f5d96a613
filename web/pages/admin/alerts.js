// What is wrong in the fleet now.

import { h } from "../../vendor/preact.js";
import { Badge } from "../../components/badge.js";
import { Liveness } from "../../components/liveness.js";
import { loaded } from "../../components/notice.js";
import { word } from "../../components/word.js";
import { table } from "../../components/table.js";
import { ago } from "../../runtime/format.js";
import { inLanguage } from "../../runtime/language.js";
import { alertKey, useAttention } from "../../runtime/live.js";
import texts from "../../text/admin.js";
import words from "../../text/words.js";

export default function Alerts() {
  const t = texts();
  const { told, isLive, error } = useAttention();
  return h(
    "div",
    null,
    h("h1", null, t.alerts),
    h(Liveness, { isLive, error }),
    loaded({ value: told, error }, ({ alerts: rows }) =>
      table({
        caption: t.alerts,
        rows,
        empty: t.noAlerts,
        keyOf: alertKey,
        href: (row) => `#/machines/${row.provider_id}`,
        columns: [
          { key: "machine", title: t.machine, cell: (row) => h("bdi", null, row.provider_name), width: 150 },
          {
            key: "reason",
            title: t.reason,
            cell: (row) => h(Badge, { kind: "bad", children: word(words().alerts, row.reason) }),
            sort: (row) => row.reason,
            width: 190,
          },
          { key: "since", title: t.since, cell: (row) => ago(row.since), sort: (row) => row.since, width: 140 },
          {
            key: "detail",
            title: t.detail,
            cell: (row) => h("bdi", null, inLanguage(row.detail, row.detail_ar)),
            isExtra: true,
          },
        ],
      }),
    ),
  );
}
