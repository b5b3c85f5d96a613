// Lines over time. The library is loaded with the first of them.

import { h } from "../vendor/preact.js";
import { useEffect, useRef } from "../vendor/hooks.js";
import { number } from "../runtime/format.js";
import { language, locale } from "../runtime/language.js";
import { theme } from "../runtime/theme.js";
import texts from "../text/common.js";

/** @typedef {{label: string, values: (number | null)[]}} Series */

const HEIGHT = 220;
const COLOURS = ["--line-1", "--line-2", "--line-3", "--line-4"];

/** A colour of the sheet as a canvas takes it: of a variable the browser tells the pair for light and dark. @param {HTMLElement} place @param {string} name */
function colour(place, name) {
  const probe = place.appendChild(document.createElement("span"));
  probe.style.color = `var(${name})`;
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

/** @param {Date} at */
const dayOf = (at) => new Intl.DateTimeFormat(locale(), { month: "short", day: "numeric" }).format(at);
/** @param {Date} at */
const hourOf = (at) => new Intl.DateTimeFormat(locale(), { hour: "numeric", minute: "2-digit" }).format(at);

/**
 * @param {any} kind the library's class
 * @param {HTMLElement} place
 * @param {number[]} times
 * @param {Series[]} series
 * @param {(value: number) => string} told
 */
function draw(kind, place, times, series, told) {
  const axis = {
    stroke: colour(place, "--quiet"),
    grid: { stroke: colour(place, "--edge"), width: 1 },
    ticks: { show: false },
  };
  const day = 86400;
  /** @param {unknown} _ @param {number[]} splits */
  const labels = (_, splits) => {
    const isLong = (splits.at(-1) ?? 0) - (splits[0] ?? 0) >= day;
    return splits.map((at) => (isLong ? dayOf : hourOf)(new Date(at * 1000)));
  };
  /** @param {unknown} _ @param {number[]} splits */
  const values = (_, splits) => splits.map(told);
  const lines = series.map(({ label }, at) => {
    const stroke = colour(place, COLOURS[at % COLOURS.length] ?? "--line-1");
    return {
      label,
      stroke,
      width: 2,
      value: (/** @type {unknown} */ _, /** @type {number | null} */ value) => (value == null ? "–" : told(value)),
    };
  });
  const options = {
    width: place.clientWidth,
    height: HEIGHT,
    cursor: { drag: { x: false, y: false } },
    axes: [
      { ...axis, values: labels },
      { ...axis, values, size: 64 },
    ],
    series: [
      {
        label: texts().time,
        value: (/** @type {unknown} */ _, /** @type {number | null} */ at) =>
          at == null ? "–" : `${dayOf(new Date(at * 1000))} ${hourOf(new Date(at * 1000))}`,
      },
      ...lines,
    ],
  };
  return new kind(options, [times, ...series.map((one) => one.values)], place);
}

/**
 * @param {{label: string, times: number[], series: Series[], told?: (value: number) => string}} props `times` in seconds since
 *   1970, one for each value of every series; `told` says a value in words
 */
export function Plot({ label, times, series, told = number }) {
  const place = useRef(/** @type {HTMLDivElement | null} */ (null));
  useEffect(() => {
    /** @type {any} */
    let plot;
    let isLeft = false;
    const width = new ResizeObserver(
      () => place.current && plot?.setSize({ width: place.current.clientWidth, height: HEIGHT }),
    );
    import("../vendor/uPlot.js").then(({ default: kind }) => {
      if (isLeft || !place.current) return;
      plot = draw(kind, place.current, times, series, told);
      width.observe(place.current);
    });
    return () => {
      isLeft = true;
      width.disconnect();
      plot?.destroy();
    };
  }, [JSON.stringify([times, series]), language.value, theme.value]);
  const latest = series.map((one) => `${one.label}: ${told(one.values.findLast((value) => value != null) ?? 0)}`);
  return h(
    "figure",
    { class: "plot" },
    h("figcaption", null, label),
    // Time runs one way in both languages, and what is drawn is told in words to whoever does not see it.
    h("div", { ref: place, dir: "ltr", role: "img", "aria-label": `${label}. ${latest.join(", ")}` }),
  );
}
