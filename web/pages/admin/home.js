// The market in a few figures.

import { h } from "../../vendor/preact.js";
import { Figures } from "../../components/figure.js";
import { loaded } from "../../components/notice.js";
import { call } from "../../runtime/api.js";
import { number, sar } from "../../runtime/format.js";
import { useLoad } from "../../runtime/load.js";
import texts from "../../text/console.js";

export default function Home() {
  const t = texts();
  const overview = useLoad((signal) => call("GET /admin/overview", { signal }));
  return h(
    "div",
    null,
    h("h1", null, t.home),
    loaded(overview, (told) =>
      h(Figures, {
        of: [
          [t.online, number(told.providersOnline)],
          [t.registered, number(told.providersRegistered)],
          [t.queued, number(told.jobsQueued)],
          [t.running, number(told.jobsRunning)],
          [t.revenueToday, sar(told.revenueSARToday)],
          [t.revenue, sar(told.revenueSARTotal)],
        ],
      }),
    ),
  );
}
