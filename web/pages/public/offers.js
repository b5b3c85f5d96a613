// What is on offer now: machines, models, and what a job costs.

import { h } from "../../vendor/preact.js";
import { Figures } from "../../components/figure.js";
import { loaded } from "../../components/notice.js";
import { jobType, ofToday } from "../../components/word.js";
import { table } from "../../components/table.js";
import { call } from "../../runtime/api.js";
import { money, number, sar } from "../../runtime/format.js";
import { useLoad, usePages } from "../../runtime/load.js";
import texts from "../../text/public.js";
import { Machines } from "./machines.js";
import { Models } from "./models.js";

const EVERY_SECONDS = 30;

export default function Offers() {
  const t = texts();
  const machines = usePages(
    async (offset, limit, signal) => {
      const page = await call("GET /providers/available", { query: { offset, limit }, signal });
      return { rows: page.providers, total: page.total };
    },
    (machine) => machine.id,
  );
  const summary = useLoad((signal) => call("GET /market/summary", { signal }), [], EVERY_SECONDS);
  const rates = useLoad((signal) => call("GET /renters/pricing", { signal }));
  const told = summary.value;
  return h(
    "div",
    null,
    h("h1", null, t.title),
    h("p", { class: "lead" }, t.lead),
    h(Figures, {
      of: [
        [t.machinesOnline, number(told?.machines)],
        [t.free, number(told?.machines_free)],
        // 0 where there are no machines, which is no price.
        [t.medianPrice, sar(told?.median_price_per_hour_sar || null)],
        [t.waiting, number(told?.jobs_queued)],
        [t.running, number(told?.jobs_running)],
      ],
    }),
    h(
      "section",
      { "aria-labelledby": "machines" },
      h("h2", { id: "machines" }, t.machines),
      loaded(machines, (rows) => h(Machines, { rows, isComing: machines.isComing })),
    ),
    h("section", { "aria-labelledby": "models" }, h("h2", { id: "models" }, t.models), h(Models, null)),
    h(
      "section",
      { "aria-labelledby": "rates" },
      h("h2", { id: "rates" }, t.rates),
      h("p", null, t.ratesNote),
      loaded(rates, ({ pricing }) => h(Rates, { rows: pricing })),
    ),
  );
}

/** @param {{rows: import("../../runtime/api.js").Schemas["JobRate"][]}} props */
function Rates({ rows }) {
  const t = texts();
  return table({
    caption: t.rates,
    rows: ofToday(rows),
    keyOf: (row) => row.job_type,
    columns: [
      { key: "type", title: t.jobType, cell: (row) => jobType(row.job_type) },
      {
        key: "hour",
        title: t.pricePerHour,
        isNumber: true,
        cell: (row) => money(row.rate_halala_per_minute * 60),
        sort: (row) => row.rate_halala_per_minute,
      },
    ],
  });
}
