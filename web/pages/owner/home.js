// What an owner's machines do and have earned.

import { h } from "../../vendor/preact.js";
import { Figures } from "../../components/figure.js";
import { Liveness } from "../../components/liveness.js";
import { loaded } from "../../components/notice.js";
import { call } from "../../runtime/api.js";
import { money, number } from "../../runtime/format.js";
import { useLoad } from "../../runtime/load.js";
import { session } from "../../runtime/session.js";
import texts from "../../text/owner.js";
import { EarnedByDay } from "./earnings.js";
import { machineTable, useOwnMachines } from "./machines.js";

const EVERY_SECONDS = 60;

export default function Home() {
  const t = texts();
  const { rows, isLive, error } = useOwnMachines();
  const account = useLoad((signal) => call("GET /providers/me", { signal }), [], EVERY_SECONDS);
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
    h(EarnedByDay, null),
  );
}
