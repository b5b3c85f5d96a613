// What the API calls things, in the reader's words.

import { h } from "../vendor/preact.js";
import words from "../text/words.js";
import { Badge } from "./badge.js";

/** @typedef {import("../vendor/preact.js").ComponentChild} Child */

/** A name in the words that there are for it; one that has none yet is shown as it is. @param {Record<string, string>} known @param {string} name @returns {Child} */
export const word = (known, name) => (Object.hasOwn(known, name) ? known[name] : h("bdi", null, name));

/** Kinds of work under names that older clients have for them; to others each would seem to be one more. */
const OLDER_NAMES = new Set(["llm-inference"]);

/** Leave out what is there under its name of today. @template {{job_type: string}} T @param {T[]} rows */
export const ofToday = (rows) => rows.filter(({ job_type }) => !OLDER_NAMES.has(job_type));

/** @param {string} type */
export const jobType = (type) => word(words().jobTypes, type);

/** The number of a job, of which the end tells it from others where there is little room. @param {string} id */
export const jobId = (id) => h("bdi", { class: "id" }, id);

/** Why something did not arrive. @param {string} said a sentence of the API's @returns {Child} */
export function undelivered(said) {
  for (const [sentence, told] of Object.entries(words().undelivered)) {
    const [before = "", after] = sentence.split("#");
    if (after === undefined ? said === sentence : said.startsWith(before) && said.endsWith(after))
      return told.replace("#", () => said.slice(before.length, said.length - (after ?? "").length));
  }
  return said;
}

/** @type {Record<string, import("./badge.js").Kind>} */
const PAYOUT_KINDS = { pending: "warn", processing: "warn", paid: "good", failed: "bad", rejected: "bad" };
/** @type {Record<string, import("./badge.js").Kind>} */
const DELIVERY_KINDS = { pending: "warn", delivered: "good", failed: "bad" };

/** @param {{of: string}} props */
export function PayoutStatus({ of }) {
  return h(Badge, { kind: PAYOUT_KINDS[of] ?? "plain", children: word(words().payoutStates, of) });
}

/** Of something that was sent: a job that is pending waits for a machine. @param {{of: string}} props */
export function DeliveryStatus({ of }) {
  return h(Badge, { kind: DELIVERY_KINDS[of] ?? "plain", children: word(words().deliveryStates, of) });
}
