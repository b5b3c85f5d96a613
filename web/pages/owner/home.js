// What an owner's machines do and have earned.

import { h } from "../../vendor/preact.js";
import { Figures } from "../../components/figure.js";
import { Liveness } from "../../components/liveness.js";
import { loaded } from "../../components/notice.js";
import { call } from "../../runtime/api.js";
import { money, number } from "../../runtime/format.js";
import { useJobs } from "../../runtime/live.js";
import { useLoad, useSlowly } from "../../runtime/load.js";
import { session } from "../../runtime/session.js";
import texts from "../../text/owner.js";
import { EarnedByDay } from "./earnings.js";
import { machineTable, useOwnMachines } from "./machines.js";

const SETTLE_SECONDS = 5;
// Kept of those that ended, which are read for that they did alone.
const MOST_JOBS = 500;

export default function Home() {
  const t = texts();
  const { rows, isLive, error } = useOwnMachines();
  const jobs = useJobs(MOST_JOBS).rows;
  // A job that ends is what earns.
  const ended = useSlowly(jobs?.filter((job) => job.ended_at !== null).length, SETTLE_SECONDS);
  const account = useLoad((signal) => call("GET /providers/me", { signal }), [ended]);
  return h(
    "div",
    null,
    h("h1", null, t.home),
    h("p", { class: "lead" }, h("bdi", null, session.value?.name)),
    loaded(account, ({ provider }) =>
      h(Figures, {
        of: [
          [t.today, money(provider.today_earnings_halala)],
          [t.week, money(provider.week_earnings_halala)],
          [t.month, money(provider.month_earnings_halala)],
          [t.total, money(provider.total_earnings_halala)],
          [t.jobsDone, number(provider.total_jobs)],
        ],
      }),
    ),
    h(
      "section",
      { "aria-labelledby": "machines" },
      h("h2", { id: "machines" }, t.machines),
      h(Liveness, { isLive, error }),
      loaded({ value: rows, error }, machineTable),
    ),
    h(EarnedByDay, { turn: ended }),
  );
}
