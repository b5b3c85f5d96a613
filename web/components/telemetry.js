// What a machine said of its GPU in the last day.

import { h } from "../vendor/preact.js";
import { call } from "../runtime/api.js";
import { useLoad } from "../runtime/load.js";
import common from "../text/common.js";
import { loaded } from "./notice.js";
import { Plot } from "./plot.js";

const EVERY_SECONDS = 60;

/** @param {{id: number | string}} props of the machine */
export function Telemetry({ id }) {
  const t = common().telemetry;
  const metrics = useLoad(
    (signal) =>
      call("GET /providers/{provider_id}/metrics", { path: { provider_id: id }, query: { period: "24h" }, signal }),
    [id],
    EVERY_SECONDS,
  );
  const shown = loaded(metrics, ({ points }) => {
    if (points.length === 0) return h("p", { class: "empty" }, common().nothing);
    const times = points.map(({ at }) => Date.parse(at) / 1000);
    /** @param {string} label @param {(point: (typeof points)[number]) => number | null} of */
    const line = (label, of) => ({ label, values: points.map(of) });
    const warmth = [line(t.temperature, (one) => one.temp_c), line(t.power, (one) => one.power_w)];
    return h(
      "div",
      null,
      h(Plot, { label: t.busy, times, series: [line(t.busy, (one) => one.gpu_util_pct)] }),
      h(Plot, { label: `${t.temperature} · ${t.power}`, times, series: warmth }),
    );
  });
  return h("section", { "aria-labelledby": "day" }, h("h2", { id: "day" }, t.title), shown);
}
