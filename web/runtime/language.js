// The language of the page: one signal that every text reads, so that all of them change when it does.

import { effect, signal } from "../vendor/signals.js";
import { machine } from "./storage.js";

/** @typedef {"en" | "ar"} Language */

// Digits as they stand in prices, model names and keys, and the calendar of the API's dates: mixing either would mislead.
const LOCALES = { en: "en", ar: "ar-SA-u-ca-gregory-nu-latn" };
const DIRECTIONS = { en: "ltr", ar: "rtl" };
const KEPT = "dc1.language";

/** @param {string | null} name @returns {name is Language} */
const isLanguage = (name) => name === "en" || name === "ar";

/** A text of the market's in the reader's language. @param {string | null | undefined} english @param {string | null | undefined} arabic */
export const inLanguage = (english, arabic) => (language.value === "ar" && arabic) || (english ?? "");

/** What the reader chose here before, or else the first of the browser's languages that there is. @returns {Language} */
function preferred() {
  const kept = machine.getItem(KEPT);
  if (isLanguage(kept)) return kept;
  return navigator.languages.map((name) => name.slice(0, 2).toLowerCase()).find(isLanguage) ?? "en";
}

export const language = signal(preferred());

effect(() => {
  document.documentElement.lang = language.value;
  document.documentElement.dir = DIRECTIONS[language.value];
});

/** Show everything in another language, from now on. @param {Language} name */
export function speak(name) {
  machine.setItem(KEPT, name);
  language.value = name;
}

/** What `Intl` calls the language of now. */
export const locale = () => LOCALES[language.value];

/**
 * Keep the texts of one area in both languages; the check fails where one has what the other lacks.
 *
 * @template T
 * @param {T} en
 * @param {NoInfer<T>} ar
 * @returns {(() => T) & {en: T, ar: T}} call it for the texts in the language of now
 */
export function catalogue(en, ar) {
  const texts = { en, ar };
  return Object.assign(() => texts[language.value], texts);
}

/**
 * Choose the form of a text that goes with a number: Arabic has six of them, English two.
 *
 * @param {number} count
 * @param {Partial<Record<Intl.LDMLPluralRule, string>> & {other: string}} forms `#` stands for the number
 */
export function plural(count, forms) {
  const rule = new Intl.PluralRules(locale()).select(count);
  return (forms[rule] ?? forms.other).replace("#", new Intl.NumberFormat(locale()).format(count));
}
