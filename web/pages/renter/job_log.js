// The log of a job as it is printed: what there was, and what comes.

import { h } from "../../vendor/preact.js";
import { useEffect, useRef, useState } from "../../vendor/hooks.js";
import { complain } from "../../components/toast.js";
import { follow } from "../../runtime/events.js";
import texts from "../../text/renter.js";

// What a person scrolls through; all of it is at GET /jobs/{job_id}/logs.
const MOST_LINES = 2000;

/** @param {{id: string}} props */
export function JobLog({ id }) {
  const t = texts();
  const [lines, setLines] = useState(/** @type {string[]} */ ([]));
  const place = useRef(/** @type {HTMLPreElement | null} */ (null));
  useEffect(() => {
    const leaving = new AbortController();
    /** @type {string[]} */
    let fresh = [];
    let pending = 0;
    setLines([]);
    const show = () => {
      const arrived = fresh;
      fresh = [];
      setLines((before) => [...before, ...arrived].slice(-MOST_LINES));
    };
    follow("GET /jobs/{job_id}/logs/stream", { path: { job_id: id }, signal: leaving.signal }, (event) => {
      if (!("line" in event)) return;
      fresh.push(event.line);
      // Nothing is drawn while nobody looks, and the run goes on printing.
      if (fresh.length >= 2 * MOST_LINES) fresh = fresh.slice(-MOST_LINES);
      // A run may print thousands of lines a second.
      cancelAnimationFrame(pending);
      pending = requestAnimationFrame(show);
    }).catch((error) => leaving.signal.aborted || complain(error));
    return () => {
      leaving.abort();
      cancelAnimationFrame(pending);
    };
  }, [id]);
  useEffect(() => {
    const log = place.current;
    // Whoever has scrolled up reads, and is left where they are.
    if (log && log.scrollHeight - log.scrollTop - log.clientHeight < 80) log.scrollTop = log.scrollHeight;
  }, [lines]);
  if (lines.length === 0) return h("p", { class: "empty" }, t.noLog);
  return h(
    "pre",
    { ref: place, class: "log", dir: "ltr", tabIndex: 0, role: "log", "aria-label": t.log },
    lines.join("\n"),
  );
}
