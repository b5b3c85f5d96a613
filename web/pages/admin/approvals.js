// Machines that wait for a decision: what their owner claimed against what is known.

import { h } from "../../vendor/preact.js";
import { Badge } from "../../components/badge.js";
import { Liveness } from "../../components/liveness.js";
import { loaded } from "../../components/notice.js";
import { word } from "../../components/word.js";
import { table } from "../../components/table.js";
import { call } from "../../runtime/api.js";
import { duration } from "../../runtime/format.js";
import { useAttention } from "../../runtime/live.js";
import { useLoad, useSlowly } from "../../runtime/load.js";
import { may } from "../../runtime/session.js";
import texts from "../../text/admin.js";
import words from "../../text/words.js";
import { approve, reject } from "./acts.js";

const SHOWN = 100;
// Calls of operators are counted, and many may come at once.
const SETTLE_SECONDS = 5;

/** @param {number} id */
const waiting = (id) => ({ id, approval_status: "pending" });

export default function Approvals() {
  const t = texts();
  const { told, isLive, error } = useAttention();
  // Asked for when the market says that others wait, and not again and again.
  const queue = useLoad(
    (signal) => call("GET /admin/providers/approval-queue", { query: { limit: SHOWN }, signal }),
    [useSlowly(told?.waiting.join(), SETTLE_SECONDS)],
  );
  return h(
    "div",
    null,
    h("h1", null, t.approvals),
    h(Liveness, { isLive, error }),
    loaded(queue, ({ providers }) =>
      table({
        caption: t.approvals,
        rows: providers,
        empty: t.noApprovals,
        keyOf: (row) => row.id,
        href: (row) => `#/machines/${row.id}`,
        columns: [
          { key: "name", title: t.name, cell: (row) => h("bdi", null, row.name), width: 150 },
          { key: "gpu", title: t.gpu, cell: (row) => h("bdi", null, row.gpu_model ?? "–"), isExtra: true, width: 150 },
          {
            key: "source",
            title: t.source,
            cell: (row) => word(words().gpuSources, row.gpu_source),
            isExtra: true,
            width: 120,
          },
          { key: "email", title: t.email, cell: (row) => h("bdi", null, row.email), isExtra: true },
          {
            key: "since",
            title: t.waitsSince,
            cell: (row) => [
              duration(row.pending_duration_seconds),
              " ",
              row.sla_breached && h(Badge, { kind: "bad", children: t.overdue }),
            ],
            isExtra: true,
            width: 170,
          },
          {
            key: "acts",
            title: "",
            cell: (row) => [
              may("PATCH /admin/providers/{provider_id}/approve") &&
                h(
                  "button",
                  { key: "yes", type: "button", class: "plain", onClick: () => approve(waiting(row.id), queue.reload) },
                  t.approve,
                ),
              may("PATCH /admin/providers/{provider_id}/reject") &&
                h(
                  "button",
                  { key: "no", type: "button", class: "plain", onClick: () => reject(waiting(row.id), queue.reload) },
                  t.reject,
                ),
            ],
            width: 180,
          },
        ],
      }),
    ),
  );
}
