// A renter's account in a few figures, the jobs that are open, and what was spent.

import { h } from "../../vendor/preact.js";
import { Figures } from "../../components/figure.js";
import { Liveness } from "../../components/liveness.js";
import { loaded } from "../../components/notice.js";
import { MoneyPlot } from "../../components/plot.js";
import { call } from "../../runtime/api.js";
import { money, number } from "../../runtime/format.js";
import { useJobs } from "../../runtime/live.js";
import { useLoad } from "../../runtime/load.js";
import { session } from "../../runtime/session.js";
import texts from "../../text/renter.js";
import { jobTable } from "./job_rows.js";

export default function Home() {
  const t = texts();
  const { rows, isLive, error } = useJobs();
  const open = rows?.filter((job) => job.ended_at === null);
  // A job that begins or ends moves the wallet.
  const balance = useLoad((signal) => call("GET /renters/balance", { signal }), [rows?.length, open?.length]);
  return h(
    "div",
    null,
    h("h1", null, t.home),
    h("p", { class: "lead" }, h("bdi", null, session.value?.name)),
    loaded(balance, (told) =>
      h(Figures, {
        of: [
          [t.available, money(told.available_halala)],
          [t.held, money(told.held_halala)],
          [t.spent, money(told.total_spent_halala)],
          [t.jobs, number(told.total_jobs)],
        ],
      }),
    ),
    h(
      "section",
      { "aria-labelledby": "open" },
      h("h2", { id: "open" }, t.openJobs),
      h(Liveness, { isLive, error }),
      loaded({ value: open, error }, (told) => jobTable(told, t.openJobs, t.noOpenJobs)),
    ),
    h("section", { "aria-labelledby": "spending" }, h("h2", { id: "spending" }, t.spentByDay), h(Spending, null)),
  );
}

function Spending() {
  const t = texts();
  const analytics = useLoad((signal) => call("GET /renters/me/analytics", { query: { period: "30d" }, signal }));
  return loaded(analytics, ({ daily_spend: days }) =>
    h(MoneyPlot, {
      label: t.spentByDay,
      isDaily: true,
      times: days.map(({ date }) => Date.parse(date) / 1000),
      series: [{ label: t.cost, values: days.map((one) => one.total_halala) }],
    }),
  );
}
