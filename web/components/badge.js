// States in a word and a colour.

import { h } from "../vendor/preact.js";
import texts from "../text/common.js";

/** @typedef {"good" | "warn" | "bad" | "plain"} Kind */

/** @type {Record<string, Kind>} */
const KINDS = {
  online: "good",
  degraded: "warn",
  offline: "plain",
  approved: "good",
  rejected: "bad",
  suspended: "bad",
  active: "good",
  queued: "plain",
  pending: "warn",
  running: "good",
  completed: "good",
  failed: "bad",
  cancelled: "plain",
};

/** @param {{kind?: Kind, children: import("../vendor/preact.js").ComponentChildren}} props */
export function Badge({ kind = "plain", children }) {
  return h("span", { class: `badge ${kind}` }, children);
}

/** What operators decided of a machine: one that is pending waits for people, and a pending job for a machine. @param {{of: string}} props */
export function Approval({ of }) {
  return of === "pending" ? h(Badge, { kind: "warn", children: texts().awaitsApproval }) : h(Status, { of });
}

/** The state of a job, a machine or an account; one that has no text yet is shown as it is. @param {{of: string}} props */
export function Status({ of }) {
  /** @type {Record<string, string>} */
  const words = texts().states;
  return h(Badge, { kind: KINDS[of] ?? "plain", children: words[of] ?? h("bdi", null, of) });
}
