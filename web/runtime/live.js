// What a stream says of many things: all there are at first, then each as it changes.

import { useEffect, useMemo, useState } from "../vendor/hooks.js";
import { follow } from "./events.js";

/**
 * @template T
 * @typedef {{rows: T[] | undefined, isLive: boolean, error: unknown}} Live `rows` is undefined until all were told
 */

/** @typedef {import("./api.js").Schemas["LiveMachine"]} LiveMachine */

/**
 * Follow machines as they beat, but for those that were closed.
 *
 * @param {"GET /admin/providers/stream" | "GET /providers/me/machines/stream"} route
 * @returns {Live<LiveMachine>}
 */
export function useMachines(route) {
  const live = useLive(route, (event) => /** @type {LiveMachine[] | undefined} */ (event.machines));
  // Kept between two changes: whoever filters or sorts ten thousand of them need not do so for every letter that is typed.
  const rows = useMemo(() => live.rows?.filter((machine) => !machine.is_closed), [live.rows]);
  return { ...live, rows };
}

/** @typedef {import("./api.js").Schemas["LiveJob"]} LiveJob */

/**
 * The jobs that who is signed in may see, as they move: the open ones, and those that ended while the page was open.
 *
 * @param {number} [most] of those that ended the older ones are forgotten where there are more
 */
export const useJobs = (most = Infinity) =>
  useLive(
    "GET /jobs/stream",
    (event) => /** @type {LiveJob[] | undefined} */ (event.jobs),
    [],
    (known) => forget(known, most),
  );

/**
 * Leave no more than half of `most` where there are more, so that it is seldom done; but for open jobs.
 *
 * @template {{ended_at: string | null}} T
 * @param {Map<number, T>} known @param {number} most
 */
export function forget(known, most) {
  if (known.size <= most) return;
  for (const [id, job] of known) {
    if (known.size <= most / 2) return;
    if (job.ended_at !== null) known.delete(id);
  }
}

/**
 * Follow a stream whose events are `snapshot`, `ready` and `change`, and keep its things by their numbers.
 *
 * @template {keyof import("./api.js").Routes} R
 * @template T
 * @param {R} route
 * @param {(event: any) => (T & {id: number})[] | undefined} thingsOf
 * @param {readonly unknown[]} [inputs]
 * @param {(known: Map<number, T & {id: number}>) => void} [tidy] makes room after each event
 * @returns {Live<T & {id: number}>}
 */
export function useLive(route, thingsOf, inputs = [], tidy = () => undefined) {
  const [state, setState] = useState(
    /** @type {Live<T & {id: number}>} */ ({ rows: undefined, isLive: false, error: undefined }),
  );
  useEffect(() => {
    const leaving = new AbortController();
    /** @type {Map<number, T & {id: number}>} */
    let known = new Map();
    let isWhole = false;
    let pending = 0;
    // A burst of events is one change of the page.
    const show = () => {
      cancelAnimationFrame(pending);
      pending = requestAnimationFrame(() =>
        setState((before) => ({ ...before, rows: [...known.values()], isLive: true, error: undefined })),
      );
    };
    /** @param {any} event @param {string} name */
    const heard = (event, name) => {
      for (const thing of thingsOf(event) ?? []) known.set(thing.id, thing);
      tidy(known);
      if (name === "ready" || name === "end") isWhole = true;
      if (isWhole) show();
    };
    /** @type {any} */
    const given = { signal: leaving.signal };
    /** @param {boolean} isLive */
    const told = (isLive) => {
      // Whoever comes back is told everything anew.
      if (isLive) [known, isWhole] = [new Map(), false];
      setState((before) => ({ ...before, isLive }));
    };
    follow(route, given, heard, told).catch(
      (error) => leaving.signal.aborted || setState((before) => ({ ...before, error })),
    );
    return () => {
      leaving.abort();
      cancelAnimationFrame(pending);
    };
  }, inputs);
  return state;
}

/**
 * Follow a stream each event of which tells everything anew.
 *
 * @template {keyof import("./api.js").Routes} R
 * @template T
 * @param {R} route
 * @param {(event: NonNullable<import("./api.js").Routes[R]["event"]>) => T | undefined} of what an event tells; others, such as `ready`, are passed over
 * @returns {{told: T | undefined, isLive: boolean, error: unknown}} `told` is undefined before the first
 */
export function useLatest(route, of) {
  const [told, setTold] = useState(/** @type {T | undefined} */ (undefined));
  const [isLive, setLive] = useState(false);
  const [error, setError] = useState(/** @type {unknown} */ (undefined));
  useEffect(() => {
    const leaving = new AbortController();
    /** @type {any} */
    const given = { signal: leaving.signal };
    follow(route, given, (event) => setTold((before) => of(event) ?? before), setLive).catch(
      (refused) => leaving.signal.aborted || setError(refused),
    );
    return () => leaving.abort();
  }, [route]);
  return { told, isLive, error };
}

/** What operators should look at: what is wrong in the fleet, and which machines wait for a decision. */
export const useAttention = () =>
  useLatest("GET /admin/fleet/alerts/stream", (event) => ("alerts" in event ? event : undefined));
