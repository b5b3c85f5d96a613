// Numbers, money and time in the language of the page.

import { locale } from "./language.js";

const HALALA_PER_SAR = 100;
const NOTHING = "–";
/** @type {[Intl.RelativeTimeFormatUnit, number][]} */
const SPANS = [
  ["day", 86400],
  ["hour", 3600],
  ["minute", 60],
  ["second", 1],
];

// Making one takes a thousand times as long as using it, and lists have ten thousand cells.
/** @type {Map<string, Intl.NumberFormat | Intl.DateTimeFormat>} */
const formats = new Map();

/** @template {Intl.NumberFormat | Intl.DateTimeFormat} F @param {new (locale: string, options: any) => F} kind @param {object} options @returns {F} */
function format(kind, options) {
  const name = locale() + kind.name + JSON.stringify(options);
  let made = formats.get(name);
  if (!made) formats.set(name, (made = new kind(locale(), options)));
  return /** @type {F} */ (made);
}

/** @param {number | null | undefined} value @param {number} [digits] at most so many after the point */
export function number(value, digits = 0) {
  return value == null ? NOTHING : format(Intl.NumberFormat, { maximumFractionDigits: digits }).format(value);
}

/** @param {number | null | undefined} value a share of 100 @param {number} [digits] */
export function percent(value, digits = 0) {
  if (value == null) return NOTHING;
  return format(Intl.NumberFormat, { style: "percent", maximumFractionDigits: digits }).format(value / 100);
}

/** @param {number | null | undefined} amount in riyals @param {number} [digits] */
export function sar(amount, digits = 2) {
  if (amount == null) return NOTHING;
  const options = { style: "currency", currency: "SAR", minimumFractionDigits: 2, maximumFractionDigits: digits };
  return format(Intl.NumberFormat, options).format(amount);
}

/** An amount as people write it, as the API takes it. @param {number} amount in riyals */
export const halala = (amount) => Math.round(amount * HALALA_PER_SAR);

/** The same the other way. @param {number} amount in halala */
export const riyals = (amount) => amount / HALALA_PER_SAR;

/** @param {number | null | undefined} amount in halala, 1/100 of a riyal */
export const money = (amount) => sar(amount == null ? null : riyals(amount));

/** @param {string | number | null | undefined} at ISO-8601, or milliseconds */
export function time(at) {
  return at == null
    ? NOTHING
    : format(Intl.DateTimeFormat, { dateStyle: "medium", timeStyle: "short" }).format(new Date(at));
}

/** @param {string | number | null | undefined} at */
export function day(at) {
  return at == null ? NOTHING : format(Intl.DateTimeFormat, { dateStyle: "medium" }).format(new Date(at));
}

/** The hour alone. @param {string | number | null | undefined} at */
export function clock(at) {
  return at == null ? NOTHING : format(Intl.DateTimeFormat, { timeStyle: "short" }).format(new Date(at));
}

/** How long ago something was. @param {string | null | undefined} at @param {number} [nowMs] */
export function ago(at, nowMs = Date.now()) {
  if (at == null) return NOTHING;
  const seconds = (new Date(at).getTime() - nowMs) / 1000;
  const [unit, length] = SPANS.find(([, span]) => Math.abs(seconds) >= span) ?? ["second", 1];
  return new Intl.RelativeTimeFormat(locale(), { numeric: "auto" }).format(Math.round(seconds / length), unit);
}

/** @param {number | null | undefined} seconds */
export function duration(seconds) {
  if (seconds == null) return NOTHING;
  const [unit, length] = SPANS.find(([, span]) => seconds >= span) ?? ["second", 1];
  const options = { style: "unit", unit, unitDisplay: "short", maximumFractionDigits: 1 };
  return format(Intl.NumberFormat, options).format(seconds / length);
}
