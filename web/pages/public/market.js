// What the market did lately, how long its queue is, and whether the service works.

import { h } from "../../vendor/preact.js";
import { Badge } from "../../components/badge.js";
import { loaded, said } from "../../components/notice.js";
import { table } from "../../components/table.js";
import { call } from "../../runtime/api.js";
import { ago, duration, number } from "../../runtime/format.js";
import { useLoad } from "../../runtime/load.js";
import { SITE } from "../../runtime/site.js";
import texts from "../../text/public.js";

const EVERY_SECONDS = 15;

export default function Market() {
  const t = texts();
  return h("div", null, h("h1", null, t.market), h(Service, null), h(Queue, null));
}

function Service() {
  const t = texts();
  const health = useLoad((signal) => call("GET /health", { signal }), [], EVERY_SECONDS);
  const { value, error } = health;
  if (value === undefined && error === undefined) return loaded(health, () => null);
  const state =
    error === undefined
      ? h(Badge, { kind: "good", children: t.serviceGood })
      : h(Badge, { kind: "bad", children: t.serviceBad });
  const note = error === undefined ? t.serviceNote(ago(value?.timestamp, Date.now())) : h("bdi", null, said(error));
  return h(
    "section",
    { "aria-labelledby": "service" },
    h("h2", { id: "service" }, t.service),
    h("p", null, state, " ", h("span", { class: "quiet" }, note)),
    h("p", null, h("a", { href: SITE.docs }, t.docs)),
  );
}

function Queue() {
  const t = texts();
  const queue = useLoad((signal) => call("GET /jobs/queue/status", { signal }), [], EVERY_SECONDS);
  /** @type {Record<string, string>} */
  const classes = t.classes;
  /** @type {Record<string, string>} */
  const types = t.computeTypes;
  return h(
    "section",
    { "aria-labelledby": "queue" },
    h("h2", { id: "queue" }, t.queue),
    loaded(queue, ({ buckets }) =>
      table({
        caption: t.queue,
        rows: buckets,
        empty: t.queueEmpty,
        keyOf: (row) => `${row.pricing_class} ${row.compute_type}`,
        columns: [
          { key: "class", title: t.pricingClass, cell: (row) => classes[row.pricing_class] ?? row.pricing_class },
          { key: "type", title: t.computeType, cell: (row) => types[row.compute_type] ?? row.compute_type },
          { key: "depth", title: t.depth, isNumber: true, cell: (row) => number(row.depth), sort: (row) => row.depth },
          {
            key: "mean",
            title: t.meanWait,
            isNumber: true,
            cell: (row) => duration(row.avg_wait_seconds),
            sort: (row) => row.avg_wait_seconds,
          },
          {
            key: "long",
            title: t.longWait,
            isNumber: true,
            isExtra: true,
            cell: (row) => duration(row.p95_wait_seconds),
            sort: (row) => row.p95_wait_seconds,
          },
        ],
      }),
    ),
  );
}
