// A renter's account in a few figures.

import { h } from "../../vendor/preact.js";
import { Figures } from "../../components/figure.js";
import { loaded } from "../../components/notice.js";
import { call } from "../../runtime/api.js";
import { money, number } from "../../runtime/format.js";
import { useLoad } from "../../runtime/load.js";
import { session } from "../../runtime/session.js";
import texts from "../../text/console.js";

export default function Home() {
  const t = texts();
  const balance = useLoad((signal) => call("GET /renters/balance", { signal }));
  return h(
    "div",
    null,
    h("h1", null, t.home),
    h("p", { class: "lead" }, h("bdi", null, session.value?.name)),
    loaded(balance, (told) =>
      h(Figures, {
        of: [
          [t.wallet, money(told.available_halala)],
          [t.held, money(told.held_halala)],
          [t.spent, money(told.total_spent_halala)],
          [t.jobs, number(told.total_jobs)],
        ],
      }),
    ),
  );
}
