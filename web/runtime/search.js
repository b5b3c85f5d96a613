// Texts as a search compares them: people leave out the marks of Arabic, and write some of its letters in more than one way.

const MARKS = /[\u064b-\u0652\u0670\u0640\u061c\u200e\u200f]/g;
/** @type {[RegExp, string][]} */
const SAME = [
  [/[أإآٱ]/g, "ا"],
  [/ى/g, "ي"],
  [/ة/g, "ه"],
];

/** @param {string} text */
export const folded = (text) =>
  SAME.reduce((before, [letter, other]) => before.replace(letter, other), text.toLowerCase().replace(MARKS, ""));

/**
 * Return what a search looks in, made once for each thing, as it comes: all of ten thousand at the first letter would be a stall.
 *
 * @template {object} T
 * @param {(thing: T) => (string | null | undefined)[]} textsOf
 * @returns {(thing: T) => string}
 */
export function searchable(textsOf) {
  /** @type {WeakMap<T, string>} */
  const told = new WeakMap();
  return (thing) => {
    let text = told.get(thing);
    if (text === undefined) told.set(thing, (text = folded(textsOf(thing).join("\n"))));
    return text;
  };
}
