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

/** A machine of the fleet as it is now, for operators. @param {number} id */
export function useMachine(id) {
  const of = (/** @type {any} */ event) => /** @type {LiveMachine[] | undefined} */ (event.machines);
  const { rows, ...live } = useLive("GET /admin/providers/stream", of, [id], undefined, { provider_id: id });
  // Of the machine before this one the rows stay until those of this one are there.
  return { ...live, machine: rows?.find((row) => row.id === id) };
}

/** @typedef {import("./api.js").Schemas["LiveJob"]} LiveJob */

/**
 * The jobs that who is signed in may see, as they move: the open ones, and those that ended while the page was open.
 *
 * @param {number} [most] of those that ended the older ones are forgotten where there are more: a page may be open for a day
 */
export const useJobs = (most = 500) =>
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
 * @param {object} [query]
 * @returns {Live<T & {id: number}>}
 */
export function useLive(route, thingsOf, inputs = [], tidy = () => undefined, query = {}) {
  const { told, ...live } = useKept(
    route,
    () => /** @type {Map<number, T & {id: number}>} */ (new Map()),
    (known, event) => {
      for (const thing of thingsOf(event) ?? []) known.set(thing.id, thing);
      tidy(known);
    },
    (known) => [...known.values()],
    inputs,
    query,
  );
  return { ...live, rows: told };
}

/**
 * Follow a stream whose events are `snapshot`, `ready` and `change`, and keep what they add up to.
 *
 * @template {keyof import("./api.js").Routes} R
 * @template K
 * @template T
 * @param {R} route
 * @param {() => K} begin what is known before the first event
 * @param {(known: K, event: any) => void} hear takes in what an event tells
 * @param {(known: K) => T} show what a page is told of it, a new object each time
 * @param {readonly unknown[]} [inputs]
 * @param {object} [query]
 * @returns {{told: T | undefined, isLive: boolean, error: unknown}} `told` is undefined until all were told
 */
function useKept(route, begin, hear, show, inputs = [], query = {}) {
  const [state, setState] = useState(
    /** @type {{told: T | undefined, isLive: boolean, error: unknown}} */ ({
      told: undefined,
      isLive: false,
      error: undefined,
    }),
  );
  useEffect(() => {
    const leaving = new AbortController();
    let known = begin();
    let isWhole = false;
    let pending = 0;
    // A burst of events is one change of the page.
    const tell = () => {
      cancelAnimationFrame(pending);
      pending = requestAnimationFrame(() => setState({ told: show(known), isLive: true, error: undefined }));
    };
    /** @param {any} event @param {string} name */
    const heard = (event, name) => {
      hear(known, event);
      if (name === "ready" || name === "end") isWhole = true;
      if (isWhole) tell();
    };
    /** @type {any} */
    const given = { signal: leaving.signal, query };
    /** @param {boolean} isLive */
    const connected = (isLive) => {
      // Whoever comes back is told everything anew.
      if (isLive) [known, isWhole] = [begin(), false];
      setState((before) => ({ ...before, isLive }));
    };
    follow(route, given, heard, connected).catch(
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

/** @typedef {import("./api.js").Schemas["FleetAlert"]} Alert */
/** @typedef {import("./api.js").Schemas["EndedAlert"]} EndedAlert */

/** A machine has one alert of a reason at most. @param {Alert | EndedAlert} alert */
export const alertKey = (alert) => `${alert.provider_id} ${alert.reason}`;

/** What operators should look at: what is wrong in the fleet, oldest first, and which machines wait for a decision. */
export const useAttention = () =>
  useKept(
    "GET /admin/fleet/alerts/stream",
    () => ({ alerts: /** @type {Map<string, Alert>} */ (new Map()), waiting: /** @type {Set<number>} */ (new Set()) }),
    ({ alerts, waiting }, /** @type {Partial<import("./api.js").Schemas["AlertsEvent"]>} */ event) => {
      for (const alert of event.ended ?? []) alerts.delete(alertKey(alert));
      for (const alert of event.alerts ?? []) alerts.set(alertKey(alert), alert);
      for (const id of event.decided ?? []) waiting.delete(id);
      for (const id of event.awaiting_approval ?? []) waiting.add(id);
    },
    ({ alerts, waiting }) => ({
      // By text, as moments are written so that they sort by it.
      alerts: [...alerts.values()].sort((one, other) => (one.since < other.since ? -1 : +(one.since > other.since))),
      waiting: [...waiting],
    }),
  );
