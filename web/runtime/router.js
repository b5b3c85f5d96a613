// Which page is shown: what stands behind `#` in the address, so that the server knows one page and none of its places.

import { computed, signal } from "../vendor/signals.js";

/** @typedef {{params: Record<string, string>, query: URLSearchParams}} Place */
/** @typedef {(place: Place) => import("../vendor/preact.js").ComponentChild} Page */
/**
 * @typedef {object} Entry
 * @property {string} path for example `/jobs/:id`
 * @property {() => string} [title] of the link that leads there; a page without one is reached from others
 * @property {import("./api.js").Route} [needs] what an operator must be allowed to call, or there is no such page
 * @property {() => Promise<{default: Page}>} load the module that holds the page
 */

const hash = signal(location.hash);
addEventListener("hashchange", () => (hash.value = location.hash));

export const path = computed(() => hash.value.replace(/^#/, "").split("?")[0] || "/");
export const query = computed(() => new URLSearchParams(hash.value.split("?")[1] ?? ""));

/** Show another page. @param {string} to for example `/jobs/7` */
export function go(to) {
  location.hash = to;
}

/**
 * Find the entry of a path.
 *
 * @param {Entry[]} entries
 * @param {string} wanted
 * @returns {{entry: Entry, params: Record<string, string>} | undefined}
 */
export function match(entries, wanted) {
  for (const entry of entries) {
    const names = [...entry.path.matchAll(/:(\w+)/g)].map((found) => found[1] ?? "");
    const values = new RegExp(`^${entry.path.replace(/:\w+/g, "([^/]+)")}$`).exec(wanted)?.slice(1);
    if (values)
      return { entry, params: Object.fromEntries(names.map((name, at) => [name, decoded(values[at] ?? "")])) };
  }
  return undefined;
}

/** @param {string} text */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
