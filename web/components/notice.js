// How what a page asked for stands: on its way, refused, or there.

import { h } from "../vendor/preact.js";
import { ApiError } from "../runtime/api.js";
import texts from "../text/common.js";

/** @typedef {import("../vendor/preact.js").ComponentChild} Child */

/** What to tell of an error; the API's own words where it said any. @param {unknown} error */
export function said(error) {
  if (!(error instanceof ApiError)) return String(error instanceof Error ? error.message : error);
  // A proxy has a page of its own for a server that is away, of which the number alone says nothing to anybody.
  if (error.status === 0 || (error.status >= 500 && !error.isSaid)) return texts().unreachable;
  const fields = error.fields.map((fault) => `${fault.field}: ${fault.message}`).join("; ");
  return fields ? `${error.message} (${fields})` : error.message;
}

/** @param {{error: unknown, retry?: () => void}} props */
export function Refused({ error, retry }) {
  const again = retry && h("button", { type: "button", onClick: retry }, texts().retry);
  return h("div", { class: "notice bad", role: "alert" }, h("bdi", null, said(error)), again);
}

/**
 * Show what was loaded, or how that stands.
 *
 * @template T
 * @param {{value: T | undefined, error: unknown, reload?: () => void}} of
 * @param {(value: T) => Child} show
 */
export function loaded({ value, error, reload }, show) {
  const refused = error === undefined ? null : h(Refused, { error, ...(reload ? { retry: reload } : {}) });
  if (value !== undefined) return h("div", null, refused, show(value));
  return refused ?? h("p", { class: "loading", role: "status" }, texts().loading);
}
