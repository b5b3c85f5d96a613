// The market as it is now, by its streams, and how it came there.

import { h } from "../../vendor/preact.js";
import { useState } from "../../vendor/hooks.js";
import { SelectField } from "../../components/field.js";
import { Figures } from "../../components/figure.js";
import { Liveness } from "../../components/liveness.js";
import { loaded } from "../../components/notice.js";
import { MoneyPlot, Plot } from "../../components/plot.js";
import { table } from "../../components/table.js";
import { call } from "../../runtime/api.js";
import { duration, money, number } from "../../runtime/format.js";
import { useLatest } from "../../runtime/live.js";
import { useLoad } from "../../runtime/load.js";
import texts from "../../text/admin.js";

/** @typedef {import("../../runtime/api.js").Schemas} Schemas */
/** @typedef {"1h" | "24h" | "30d"} Period */

// A plot has another point by the clock, whatever happens: there is nothing that a stream could tell of it.
const EVERY_SECONDS = 60;

export default function Home() {
  const t = texts();
  const {
    told: queue,
    isLive,
    error,
  } = useLatest("GET /admin/queue/stream", (event) => ("queued" in event ? event : undefined));
  return h(
    "div",
    null,
    h("h1", null, t.home),
    h(Liveness, { isLive, error }),
    loaded({ value: queue, error }, (told) =>
      h(Figures, {
        of: [
          [t.online, t.of(number(told.providers_online), number(told.providers_registered))],
          [t.queued, number(told.queued)],
          [t.offered, number(told.offered)],
          [t.running, number(told.running)],
          [t.revenueToday, money(told.charged_today_halala)],
          [t.revenue, money(told.charged_total_halala)],
        ],
      }),
    ),
    h("section", { "aria-labelledby": "waiting" }, h("h2", { id: "waiting" }, t.waiting), queue && waiting(queue)),
    h(Series, null),
  );
}

/** @param {Schemas["QueueEvent"]} queue */
function waiting(queue) {
  const t = texts();
  return table({
    caption: t.waiting,
    rows: queue.by_gpu_type,
    empty: t.nothingWaits,
    keyOf: (row) => row.gpu_type ?? "",
    columns: [
      { key: "gpu", title: t.gpu, cell: (row) => (row.gpu_type ? h("bdi", null, row.gpu_type) : t.anyGpu) },
      { key: "depth", title: t.depth, cell: (row) => number(row.depth), isNumber: true, width: 120 },
      { key: "oldest", title: t.oldest, cell: (row) => duration(row.oldest_seconds), isNumber: true, width: 160 },
    ],
  });
}

function Series() {
  const t = texts();
  const [period, setPeriod] = useState(/** @type {Period} */ ("24h"));
  const series = useLoad((signal) => call("GET /admin/series", { query: { period }, signal }), [period], EVERY_SECONDS);
  const choices = /** @type {[string, string][]} */ (Object.entries(t.periods));
  return h(
    "section",
    { "aria-label": t.period },
    h(
      "div",
      { class: "filters" },
      h(SelectField, {
        label: t.period,
        value: period,
        set: (value) => setPeriod(/** @type {Period} */ (value)),
        options: choices,
      }),
    ),
    loaded(series, ({ points }) => h(Plots, { points })),
  );
}

/** @param {{points: Schemas["SeriesPoint"][]}} props */
function Plots({ points }) {
  const t = texts();
  const times = points.map(({ at }) => Date.parse(at) / 1000);
  /** @param {string} label @param {(point: Schemas["SeriesPoint"]) => number} of */
  const line = (label, of) => ({ label, values: points.map(of) });
  return h(
    "div",
    null,
    h(Plot, {
      label: t.fleet,
      times,
      series: [line(t.registered, (one) => one.machines), line(t.online, (one) => one.online)],
    }),
    h(Plot, {
      label: t.flow,
      times,
      series: [line(t.queued, (one) => one.queued), line(t.running, (one) => one.running)],
    }),
    h(Plot, {
      label: t.endings,
      times,
      series: [line(t.completed, (one) => one.jobs_completed), line(t.failed, (one) => one.jobs_failed)],
    }),
    h(MoneyPlot, { label: t.charged, times, series: [line(t.charged, (one) => one.charged_halala)] }),
  );
}
