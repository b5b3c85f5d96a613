// Who is signed in, in this tab and until it is closed: a key is in no address, no cookie and nothing that outlives the tab.

import { signal } from "../vendor/signals.js";

/** @typedef {"admin" | "renter" | "owner"} Role */
/** @typedef {{key: string, role: Role, name: string}} Session */

const KEPT = "dc1.session";

/** @returns {Session | null} */
function kept() {
  const text = sessionStorage.getItem(KEPT);
  return text === null ? null : JSON.parse(text);
}

export const session = signal(kept());

/** @param {Session} who */
export function begin(who) {
  sessionStorage.setItem(KEPT, JSON.stringify(who));
  session.value = who;
}

export function end() {
  sessionStorage.removeItem(KEPT);
  session.value = null;
}
