// What a page asks the API for, and how it stands: not there yet, there, or refused.

import { useCallback, useEffect, useRef, useState } from "../vendor/hooks.js";
import { ApiError } from "./api.js";

const PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 30_000;
const TOO_MANY = 429;

/**
 * @template T
 * @typedef {{value: T | undefined, error: unknown, reload: () => void}} Loading
 */

/** Whether the same question may be answered in a moment: the line broke, or the server is busy or away. @param {unknown} error @returns {error is ApiError} */
const isPassing = (error) =>
  error instanceof ApiError && (error.status === 0 || error.status === TOO_MANY || error.status >= 500);

/** How long to wait until asking again: not all who were refused at once, at once again. @param {number} pauseMs @param {ApiError} error */
const waitMs = (pauseMs, error) => Math.max(pauseMs * (0.5 + Math.random()), 1000 * (error.retryAfterSeconds ?? 0));

/**
 * Load something when a component is first shown, and anew whenever `inputs` change. What fails for a moment is asked for again until it is
 * answered, ever more rarely.
 *
 * @template T
 * @param {(signal: AbortSignal) => Promise<T>} load
 * @param {readonly unknown[]} [inputs]
 * @param {number} [everySeconds] again after so long, while anybody looks
 * @returns {Loading<T>}
 */
export function useLoad(load, inputs = [], everySeconds = 0) {
  const [state, setState] = useState(/** @type {{value?: T, error?: unknown}} */ ({}));
  const [turn, setTurn] = useState(0);
  const latest = useRef(load);
  const isLoading = useRef(false);
  const pauseMs = useRef(PAUSE_MS);
  latest.current = load;
  const reload = useCallback(() => setTurn((before) => before + 1), []);
  useEffect(() => {
    const leaving = new AbortController();
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let again;
    isLoading.current = true;
    /** @param {(before: {value?: T, error?: unknown}) => {value?: T, error?: unknown}} change */
    const told = (change) => {
      if (leaving.signal.aborted) return;
      isLoading.current = false;
      setState(change);
    };
    latest.current(leaving.signal).then(
      (value) => {
        pauseMs.current = PAUSE_MS;
        told(() => ({ value }));
      },
      (error) => {
        // What was there stays beside the error: an answer that failed once makes nothing untrue.
        told((before) => ({ ...before, error }));
        if (leaving.signal.aborted || !isPassing(error)) return;
        again = setTimeout(reload, waitMs(pauseMs.current, error));
        pauseMs.current = Math.min(2 * pauseMs.current, LONGEST_PAUSE_MS);
      },
    );
    return () => {
      leaving.abort();
      clearTimeout(again);
    };
  }, [...inputs, turn]);
  useEffect(() => {
    if (!everySeconds) return undefined;
    let askedMs = Date.now();
    const ask = () => {
      // Not while it loads: over a slow line it would never be there.
      if (document.hidden || isLoading.current || Date.now() - askedMs < everySeconds * 1000) return;
      askedMs = Date.now();
      reload();
    };
    const timer = setInterval(ask, everySeconds * 1000);
    // Who comes back to a tab that was hidden sees what is, and not what was when they left.
    document.addEventListener("visibilitychange", ask);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", ask);
    };
  }, [everySeconds]);
  return { value: state.value, error: state.error, reload };
}

/**
 * Follow a value, but not more often than every so many seconds: what is loaded anew whenever a stream tells of something is not loaded a hundred
 * times where a hundred things happen at once.
 *
 * @template T
 * @param {T} value
 * @param {number} everySeconds
 * @returns {T} the latest, in the end
 */
export function useSlowly(value, everySeconds) {
  const [shown, setShown] = useState(value);
  const changedMs = useRef(0);
  useEffect(() => {
    const turn = () => {
      changedMs.current = Date.now();
      setShown(value);
    };
    const timer = setTimeout(turn, changedMs.current + everySeconds * 1000 - Date.now());
    return () => clearTimeout(timer);
  }, [value]);
  return shown;
}

/**
 * Load a module of the site. One that does not come is what any answer is that does not come; the browser's own words are for nobody.
 *
 * @template T
 * @param {() => Promise<T>} load
 * @returns {Promise<T>}
 */
export const moduleOf = (load) =>
  load().catch(() => {
    throw new ApiError(0, {});
  });

/**
 * Ask until it is answered or refused for good.
 *
 * @template T
 * @param {() => Promise<T>} ask
 * @param {AbortSignal} signal
 * @param {(error: unknown) => void} told of each time that it failed, and of undefined once it did not
 * @returns {Promise<T>}
 */
async function persistently(ask, signal, told) {
  for (let pause = PAUSE_MS; ; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
    try {
      const answer = await ask();
      told(undefined);
      return answer;
    } catch (error) {
      if (signal.aborted || !isPassing(error)) throw error;
      told(error);
      const after = waitMs(pause, error);
      await new Promise((done) => setTimeout(done, after));
    }
    signal.throwIfAborted();
  }
}

/**
 * Load a long list page by page, and show what has come meanwhile: no answer is so long that reading it stalls the page, or that
 * the server counts it among the large ones (docs/contract.md, 9). A page that did not come is said to be missing and asked for again:
 * of twenty-five, one will be refused by a server that has much to do.
 *
 * @template T
 * @param {(offset: number, limit: number, signal: AbortSignal) => Promise<{rows: T[], total: number}>} load
 * @param {(row: T) => string | number} keyOf of rows that moved to a later page meanwhile, so that none is there twice
 * @param {readonly unknown[]} [inputs]
 * @param {number} [limit]
 * @returns {Loading<T[]> & {isComing: boolean}} `isComing` while there is more of it to come
 */
export function usePages(load, keyOf, inputs = [], limit = 400) {
  const [isWhole, setWhole] = useState(false);
  const [missing, setMissing] = useState(/** @type {unknown} */ (undefined));
  const [rows, setRows] = useState(/** @type {T[] | undefined} */ (undefined));
  const all = useLoad(async (signal) => {
    setWhole(false);
    setMissing(undefined);
    /** @type {Map<string | number, T>} */
    const found = new Map();
    /** @param {unknown} error */
    const told = (error) => signal.aborted || setMissing(error);
    for (let offset = 0, total = 1; offset < total && !signal.aborted;) {
      const page = await persistently(() => load(offset, limit, signal), signal, told);
      offset += page.rows.length;
      total = page.rows.length ? page.total : 0;
      for (const row of page.rows) found.set(keyOf(row), row);
      if (!signal.aborted) setRows([...found.values()]);
    }
    if (!signal.aborted) setWhole(true);
    return [...found.values()];
  }, inputs);
  return { ...all, value: rows, error: all.error ?? missing, isComing: !isWhole && all.error === undefined };
}

/**
 * Load the first page of a long list, and a further one each time that somebody wants `more`, which is absent once all are there.
 *
 * @template P
 * @template T
 * @param {(page: number, signal: AbortSignal) => Promise<{rows: T[], hasMore: boolean, told: P}>} load pages are counted from 0
 * @param {readonly unknown[]} [inputs] begin at the first page when they change
 * @param {number} [everySeconds]
 * @returns {Loading<{rows: T[], told: P, more: (() => void) | undefined}>} `told` is what came with the first page
 */
export function useMore(load, inputs = [], everySeconds = 0) {
  const [wanted, setWanted] = useState({ pages: 1, inputs });
  const pages = inputs.every((input, at) => input === wanted.inputs[at]) ? wanted.pages : 1;
  return useLoad(
    async (signal) => {
      const { told, ...first } = await load(0, signal);
      const rows = [...first.rows];
      let { hasMore } = first;
      for (let page = 1; page < pages && hasMore; page++) {
        const next = await load(page, signal);
        rows.push(...next.rows);
        hasMore = next.hasMore;
      }
      return { rows, told, more: hasMore ? () => setWanted({ pages: pages + 1, inputs }) : undefined };
    },
    [...inputs, pages],
    everySeconds,
  );
}
