// Whether what a page shows is told as it changes, or stands still because its stream broke.

import { h } from "../vendor/preact.js";
import { useRef } from "../vendor/hooks.js";
import texts from "../text/common.js";

/** @param {{isLive: boolean, error?: unknown, children?: import("../vendor/preact.js").ComponentChildren}} props `error` where it was refused for good, and is not tried again */
export function Liveness({ isLive, error, children }) {
  const t = texts().liveness;
  const wasLive = useRef(false);
  wasLive.current ||= isLive;
  const isOver = error !== undefined;
  const now = isLive && !isOver ? "live" : isOver ? "over" : wasLive.current ? "lost" : "connecting";
  return h("p", { class: `liveness ${now}`, role: "status" }, h("span", null, t[now]), children);
}
