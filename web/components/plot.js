// Lines over time. The library is loaded with the first of them.

import { h } from "../vendor/preact.js";
import { useEffect, useRef } from "../vendor/hooks.js";
import { number, riyals, sar } from "../runtime/format.js";
import { language, locale } from "../runtime/language.js";
import { theme } from "../runtime/theme.js";
import texts from "../text/common.js";

/** @typedef {{label: string, values: (number | null)[]}} Series */
/**
 * @typedef {object} PlotProps
 * @property {string} label
 * @property {number[]} times in seconds since 1970, one for each value of every series
 * @property {Series[]} series
 * @property {(value: number) => string} [told] says a value in words
 * @property {number} [least] what values are multiples of, as nothing between two of them is marked
 * @property {boolean} [isDaily] times are days, which begin by UTC as the market's do
 */

const HEIGHT = 220;
const LINES = ["--line-1", "--line-2", "--line-3", "--line-4"];
const DAY_SECONDS = 86400;
const NOTHING = "–";

/** What a colour of the sheet is now; a canvas knows no variables. @param {HTMLElement} place @param {string} name */
function colour(place, name) {
  place.style.color = `var(${name})`;
  const found = getComputedStyle(place).color;
  place.style.color = "";
  return found;
}

/** @param {number} seconds @param {Intl.DateTimeFormatOptions} options */
const at = (seconds, options) => new Intl.DateTimeFormat(locale(), options).format(new Date(seconds * 1000));

/** Where a line stands now, which is told as long as nobody points at an older place of it. @param {(number | null)[]} values */
const latest = (values) => values.findLast((value) => value != null) ?? null;

/** A text as a canvas draws it, where lines run from left to right: one that runs the other way says so. @param {string} text */
const isolated = (text) => (text && language.value === "ar" ? `\u2067${text}\u2069` : text);

/** @param {number} value @param {number} of where it is 0, of anything */
const isMultiple = (value, of) => !of || Math.abs(value / of - Math.round(value / of)) < 1e-6;

/** @param {boolean} isDaily */
const dayOf = (isDaily) =>
  isDaily ? { month: "short", day: "numeric", timeZone: "UTC" } : { month: "short", day: "numeric" };
const HOUR = { hour: "numeric", minute: "2-digit" };

/** @param {HTMLElement} place @param {Required<PlotProps>} props @returns {import("uplot").Options} */
function options(place, { times, series, told, least, isDaily }) {
  const day = /** @type {Intl.DateTimeFormatOptions} */ (dayOf(isDaily));
  const hour = /** @type {Intl.DateTimeFormatOptions} */ (HOUR);
  const grid = { stroke: colour(place, "--edge"), width: 1 };
  const axis = { stroke: colour(place, "--quiet"), grid, ticks: { show: false } };
  const isWhole = series.every(({ values }) => values.every((value) => value == null || Number.isInteger(value)));
  return {
    width: place.clientWidth,
    height: HEIGHT,
    cursor: { drag: { x: false, y: false } },
    // From nothing on: one machine beside two is not the bottom of the plot.
    scales: { y: { range: { min: { pad: 0.1, soft: 0, mode: 1 }, max: { pad: 0.1, soft: 0, mode: 3 } } } },
    axes: [
      {
        ...axis,
        space: 80,
        gap: 8,
        values: (_, splits) => {
          const isLong = isDaily || (splits.at(-1) ?? 0) - (splits[0] ?? 0) >= DAY_SECONDS;
          return splits.map((seconds) => isolated(at(seconds, isLong ? day : hour)));
        },
      },
      {
        ...axis,
        size: 80,
        // Nobody completes half a job, and half a halala would be told as a whole one.
        filter: (_, splits) => splits.map((value) => (isMultiple(value, isWhole ? 1 : least) ? value : null)),
        // Of small amounts several are the same in words.
        values: (_, splits) =>
          splits
            .map((value) => (value == null ? "" : told(value)))
            .map((text, index, all) => (text === all[index - 1] ? "" : isolated(text))),
      },
    ],
    series: [
      {
        label: texts().time,
        value: (_, pointed) => {
          const seconds = pointed ?? times.at(-1);
          return seconds == null ? NOTHING : at(seconds, isDaily ? day : { ...day, ...hour });
        },
      },
      ...series.map(({ label, values }, index) => ({
        label,
        stroke: colour(place, LINES[index % LINES.length] ?? ""),
        width: 2,
        value: (/** @type {unknown} */ _, /** @type {number | null} */ pointed) => {
          const value = pointed ?? latest(values);
          return value == null ? NOTHING : told(value);
        },
      })),
    ],
  };
}

/** @param {PlotProps} props */
export function Plot({ label, times, series, told = number, least = 0, isDaily = false }) {
  const place = useRef(/** @type {HTMLDivElement | null} */ (null));
  useEffect(() => {
    /** @type {import("uplot") | undefined} */
    let plot;
    let isLeft = false;
    const width = new ResizeObserver(() => plot?.setSize({ width: place.current?.clientWidth ?? 0, height: HEIGHT }));
    import("../vendor/uPlot.js").then(({ default: Kind }) => {
      if (isLeft || !place.current) return;
      const data = /** @type {import("uplot").AlignedData} */ ([times, ...series.map((one) => one.values)]);
      plot = new Kind(options(place.current, { label, times, series, told, least, isDaily }), data, place.current);
      width.observe(place.current);
    });
    return () => {
      isLeft = true;
      width.disconnect();
      plot?.destroy();
    };
  }, [JSON.stringify([times, series]), language.value, theme.value]);
  const spoken = series.map((one) => {
    const value = latest(one.values);
    return `${one.label}: ${value === null ? NOTHING : told(value)}`;
  });
  return h(
    "figure",
    { class: "plot" },
    h("figcaption", null, label),
    // Time runs one way in both languages, and what is drawn is told in words to whoever does not see it.
    h("div", { ref: place, dir: "ltr", role: "img", "aria-label": `${label}. ${spoken.join(", ")}` }),
  );
}

/** Amounts over time, given in halala and drawn in riyals, of which round ones are marked. @param {Omit<PlotProps, "told">} props */
export function MoneyPlot({ series, ...rest }) {
  /** @param {number | null} value */
  const drawn = (value) => (value === null ? null : riyals(value));
  return h(Plot, {
    ...rest,
    series: series.map(({ label, values }) => ({ label, values: values.map(drawn) })),
    told: sar,
    least: riyals(1),
  });
}
