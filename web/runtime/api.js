// Calls of the API, with the types of its routes: one that changes breaks the check of whoever calls it.

import { language } from "./language.js";
import { end, session } from "./session.js";

/** @typedef {import("../../gen/web/api").Routes} Routes */
/** @typedef {import("../../gen/web/api").Schemas} Schemas */
/** @typedef {keyof Routes} Route */
/**
 * @template {Route} R
 * @typedef {(Routes[R]["path"] extends undefined ? {path?: undefined} : {path: {[name in keyof Routes[R]["path"]]: string | number}})
 *   & (Routes[R]["query"] extends undefined ? {query?: undefined} : {query?: Routes[R]["query"]})
 *   & (Routes[R]["body"] extends undefined ? {body?: undefined} : {body: Routes[R]["body"]})
 *   & {signal?: AbortSignal, key?: string, once?: string, headers?: Record<string, string>}} Given
 * `key` is that of somebody who is not signed in yet, `once` an Idempotency-Key
 */

// This file is <base>/assets/<digest>/runtime/api.js, whatever base path a proxy puts before it.
const BASE = new URL("../../../", import.meta.url);

/** What the API refused, in the shape that all its errors have. */
export class ApiError extends Error {
  /** @param {number} status 0 where no answer came @param {Partial<Schemas["Error"]> & {message_ar?: string}} body */
  constructor(status, body) {
    super((language.value === "ar" && body.message_ar) || body.error || String(status));
    this.status = status;
    this.code = body.code ?? "";
    this.fields = body.fields ?? [];
    this.retryAfterSeconds = body.retryAfterSeconds;
  }
}

/** @param {string} route @param {any} given @returns {[string, URL]} */
function target(route, given) {
  const [verb = "GET", path = "/"] = route.split(" ");
  const filled = path.slice(1).replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(given.path[name]));
  const url = new URL(filled, BASE);
  for (const [name, value] of Object.entries(given.query ?? {})) {
    if (value !== undefined && value !== null && value !== "") url.searchParams.set(name, String(value));
  }
  return [verb, url];
}

/**
 * Send a request and return its answer as it begins; a refusal is thrown as ApiError.
 *
 * @template {Route} R
 * @param {R} route
 * @param {Given<R>} given
 */
export async function request(route, given) {
  const [method, url] = target(route, given);
  /** @type {Record<string, string>} */
  const headers = { accept: "application/json", "accept-language": language.value, ...given.headers };
  const key = given.key ?? session.value?.key;
  if (key) headers["authorization"] = `Bearer ${key}`;
  if (given.once) headers["idempotency-key"] = given.once;
  if (given.body !== undefined) headers["content-type"] = "application/json";
  const body = given.body === undefined ? null : JSON.stringify(given.body);
  const signal = given.signal ?? null;
  const answer = await fetch(url, { method, headers, body, signal, credentials: "omit" }).catch((error) => {
    throw error.name === "AbortError" ? error : new ApiError(0, {});
  });
  if (answer.ok) return answer;
  // A key that was good until now: its owner replaced it, or an admin did.
  if (answer.status === 401 && !given.key && session.value) end();
  throw new ApiError(answer.status, await answer.json().catch(() => ({})));
}

/**
 * Call a route and return what it answers.
 *
 * @template {Route} R
 * @param {R} route for example `GET /jobs/{job_id}`
 * @param {Given<R>} given
 * @returns {Promise<Routes[R]["answer"]>}
 */
export async function call(route, given) {
  return (await request(route, given)).json();
}
