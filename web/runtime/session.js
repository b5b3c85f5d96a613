// Who is signed in, in this tab and until it is closed: a key is in no address, no cookie and nothing that outlives the tab.

import { signal } from "../vendor/signals.js";
import { tab } from "./storage.js";

/** @typedef {"admin" | "renter" | "owner"} Role */
/** @typedef {"viewer" | "support" | "finance" | "admin"} OperatorRole */
/**
 * @typedef {{key: string, role: Role, name: string, operator?: OperatorRole, routes?: string[]}} Session
 * `operator` is what an admin is among operators, and `routes` what this one may call
 */
/** @typedef {"key" | "idle"} Reason why a session ended that nobody signed out of: its key stopped, or nobody used it */

const KEPT = "dc1.session";

/** @returns {Session | null} */
function kept() {
  const text = tab.getItem(KEPT);
  return text === null ? null : JSON.parse(text);
}

export const session = signal(kept());

/** Why the last one ended, where its owner did not end it. @type {import("../vendor/signals.js").Signal<Reason | undefined>} */
export const ended = signal(/** @type {Reason | undefined} */ (undefined));

/** @param {Session} who */
export function begin(who) {
  tab.setItem(KEPT, JSON.stringify(who));
  ended.value = undefined;
  session.value = who;
}

/**
 * Whether to offer an act: an operator is shown what the role allows, everybody else all there is on their pages.
 *
 * @param {import("./api.js").Route} route
 */
export const may = (route) => session.value?.routes?.includes(route) ?? true;

/** @param {Reason} [reason] */
export function end(reason) {
  tab.removeItem(KEPT);
  ended.value = reason;
  session.value = null;
}
