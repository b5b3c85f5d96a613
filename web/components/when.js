// A moment, which breaks between its day and its hour and nowhere else.

import { h } from "../vendor/preact.js";
import { clock, day } from "../runtime/format.js";

/** @param {{at: string | null | undefined}} props */
export function When({ at }) {
  if (at == null) return day(at);
  return h("time", { dateTime: at }, h("span", null, day(at)), " ", h("span", null, clock(at)));
}
