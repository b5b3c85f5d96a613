// What the market did lately, how long its queue is, and whether the service works.

import { h } from "../../vendor/preact.js";
import { Badge } from "../../components/badge.js";
import { loaded, said } from "../../components/notice.js";
import { Plot } from "../../components/plot.js";
import { table } from "../../components/table.js";
import { word } from "../../components/word.js";
import { call } from "../../runtime/api.js";
import { duration, number, sar, time } from "../../runtime/format.js";
import { useLoad } from "../../runtime/load.js";
import { SITE } from "../../runtime/site.js";
import texts from "../../text/public.js";

/** @typedef {import("../../runtime/api.js").Schemas} Schemas */

const EVERY_SECONDS = 15;

export default function Market() {
  const t = texts();
  return h("div", null, h("h1", null, t.market), h(Service, null), h(Lately, null), h(Queue, null));
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
  const note = error === undefined ? t.serviceNote(time(value?.timestamp)) : h("bdi", null, said(error));
  return h(
    "section",
    { "aria-labelledby": "service" },
    h("h2", { id: "service" }, t.service),
    h("p", null, state, " ", h("span", { class: "quiet" }, note)),
    h("p", null, h("a", { href: SITE.docs }, t.docs)),
  );
}

function Lately() {
  const summary = useLoad((signal) => call("GET /market/summary", { signal }), [], EVERY_SECONDS);
  return loaded(summary, (told) => h("div", null, h(Days, { days: told.days }), h(Gpus, { rows: told.gpu_types })));
}

/** @param {{days: Schemas["MarketDay"][]}} props */
function Days({ days }) {
  const t = texts();
  const times = days.map(({ date }) => Date.parse(date) / 1000);
  const prices = days.map((day) => day.median_price_per_hour_sar);
  return h(
    "div",
    null,
    h(Plot, {
      isDaily: true,
      label: t.jobsADay,
      times,
      series: [{ label: t.jobsADay, values: days.map(({ jobs }) => jobs) }],
    }),
    // A market that has just begun has no past to show.
    prices.some((price) => price != null) &&
      h(Plot, {
        isDaily: true,
        label: t.priceADay,
        times,
        told: sar,
        series: [{ label: t.priceADay, values: prices }],
      }),
  );
}

/** @param {{rows: Schemas["MarketGpuType"][]}} props */
function Gpus({ rows }) {
  const t = texts();
  return h(
    "section",
    { "aria-labelledby": "gpus" },
    h("h2", { id: "gpus" }, t.byGpu),
    table({
      caption: t.byGpu,
      rows,
      empty: t.noGpus,
      keyOf: (row) => row.gpu_type,
      columns: [
        {
          key: "gpu",
          title: t.gpu,
          cell: (row) => (row.gpu_type ? h("bdi", null, row.gpu_type) : t.unknownGpu),
          sort: (row) => row.gpu_type,
        },
        {
          key: "price",
          title: t.medianOf,
          isNumber: true,
          cell: (row) => sar(row.median_price_per_hour_sar),
          sort: (row) => row.median_price_per_hour_sar,
        },
        {
          key: "machines",
          title: t.machines,
          isNumber: true,
          cell: (row) => number(row.machines),
          sort: (row) => row.machines,
        },
        {
          key: "free",
          title: t.free,
          isNumber: true,
          cell: (row) => number(row.machines_free),
          sort: (row) => row.machines_free,
        },
        {
          key: "gpus",
          title: t.gpus,
          isNumber: true,
          isExtra: true,
          cell: (row) => number(row.gpus),
          sort: (row) => row.gpus,
        },
      ],
    }),
  );
}

function Queue() {
  const t = texts();
  const queue = useLoad((signal) => call("GET /jobs/queue/status", { signal }), [], EVERY_SECONDS);
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
          { key: "class", title: t.pricingClass, cell: (row) => word(t.classes, row.pricing_class) },
          { key: "type", title: t.computeType, cell: (row) => word(t.computeTypes, row.compute_type) },
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
