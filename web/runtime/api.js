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
 *   & {signal?: AbortSignal, key?: string, once?: boolean, headers?: Record<string, string>}} Given
 * `key` is that of somebody who is not signed in yet; with `once` it is done once, however often it is sent until it is known to be done
 */

// This file is <base>/assets/<digest>/runtime/api.js, whatever base path a proxy puts before it.
const BASE = new URL("../../../", import.meta.url);

/** The Idempotency-Key of each act that was sent and not done, as far as is known: sent again, it is the same act. @type {Map<string, string>} */
const unanswered = new Map();

/** Bytes and no UUID, which browsers make on encrypted pages only. */
const fresh = () =>
  [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

/** What the API refused, in the shape that all its errors have. */
export class ApiError extends Error {
  /** @param {number} status 0 where no answer came @param {Partial<Schemas["Error"]> & {message_ar?: string}} body */
  constructor(status, body) {
    super((language.value === "ar" && body.message_ar) || body.error || String(status));
    this.status = status;
    /** Whether the API said why. */
    this.isSaid = Boolean(body.error);
    this.code = body.code ?? "";
    this.fields = body.fields ?? [];
    this.retryAfterSeconds = body.retryAfterSeconds;
  }
}

/** @param {string | number} value */
function segment(value) {
  const text = encodeURIComponent(value);
  // A browser walks up by these, encoded or not: what somebody put in a link would call another route.
  if (text === "." || text === "..") throw new ApiError(404, {});
  return text;
}

/** @param {string} route @param {any} given @returns {[string, URL]} */
function target(route, given) {
  const [verb = "GET", path = "/"] = route.split(" ");
  const filled = path.slice(1).replace(/\{(\w+)\}/g, (_, name) => segment(given.path[name]));
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
  if (given.body !== undefined) headers["content-type"] = "application/json";
  const body = given.body === undefined ? null : JSON.stringify(given.body);
  const act = `${method} ${url} ${body}`;
  if (given.once) {
    const name = unanswered.get(act) ?? fresh();
    unanswered.set(act, name);
    headers["idempotency-key"] = name;
  }
  const signal = given.signal ?? null;
  const answer = await fetch(url, { method, headers, body, signal, credentials: "omit" }).catch((error) => {
    throw error.name === "AbortError" ? error : new ApiError(0, {});
  });
  // Of what failed nobody knows whether it was done, and what was refused is no worse under the same key.
  if (answer.ok) unanswered.delete(act);
  // Who was signed in has left while it was on its way: what came of it is not for who is here now, nor is a way back from it.
  if (given.key === undefined && key !== session.value?.key) throw new DOMException("left", "AbortError");
  if (answer.ok) return answer;
  // A key that was good until now: its owner replaced it, or an admin did.
  if (answer.status === 401 && key === session.value?.key) end("key");
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
