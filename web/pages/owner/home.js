// An owner's account in a few figures.

import { h } from "../../vendor/preact.js";
import { Status } from "../../components/badge.js";
import { Figures } from "../../components/figure.js";
import { loaded } from "../../components/notice.js";
import { call } from "../../runtime/api.js";
import { money, number } from "../../runtime/format.js";
import { useLoad } from "../../runtime/load.js";
import texts from "../../text/console.js";

export default function Home() {
  const t = texts();
  const account = useLoad((signal) => call("GET /providers/me", { signal }));
  return h(
    "div",
    null,
    h("h1", null, t.home),
    loaded(account, ({ provider }) =>
      h(Figures, {
        of: [
          [t.machine, h("bdi", null, provider.name)],
          [t.status, h(Status, { of: provider.status })],
          [t.approval, h(Status, { of: provider.approval_status })],
          [t.earnedToday, money(provider.today_earnings_halala)],
          [t.earned, money(provider.total_earnings_halala)],
          [t.jobs, number(provider.total_jobs)],
        ],
      }),
    ),
  );
}
