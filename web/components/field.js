// Fields of a form: a label, what is wrong or meant, and the control.

import { h } from "../vendor/preact.js";
import { useId } from "../vendor/hooks.js";
import common from "../text/common.js";

/** @typedef {import("../vendor/preact.js").ComponentChild} Child */
/**
 * @typedef {object} FieldProps
 * @property {string} label
 * @property {Child} [hint]
 * @property {string | undefined} [error]
 * @property {string} [name]
 * @property {string | number} [value]
 * @property {boolean} [required]
 * @property {(value: string) => void} [set] told of every change
 */

/** @param {FieldProps & {children: (marks: Record<string, unknown>) => Child}} props */
function Field({ label, hint, error, name, value, required, set, children }) {
  const id = useId();
  const note = error ?? hint;
  const marks = {
    id,
    name,
    value,
    required,
    "aria-describedby": note ? `${id}-note` : undefined,
    "aria-invalid": error ? "true" : undefined,
    onInput: (/** @type {{currentTarget: HTMLInputElement}} */ event) => set?.(event.currentTarget.value),
  };
  return h(
    "div",
    { class: "field" },
    h("label", { for: id }, label),
    children(marks),
    note && h("small", { id: `${id}-note`, class: error ? "bad" : "" }, note),
  );
}

/** @param {FieldProps & {type?: string, min?: number, max?: number, step?: number | "any", autocomplete?: AutoFill, placeholder?: string}} props */
export function TextField({ type = "text", min, max, step, autocomplete = "off", placeholder, ...rest }) {
  // A number says nothing of which way a text runs, and stands where the page has its texts begin.
  const dir = type === "number" ? undefined : "auto";
  const own = { type, min, max, step, autocomplete, placeholder, dir, spellcheck: false };
  return h(Field, { ...rest, children: (/** @type {any} */ marks) => h("input", { ...marks, ...own }) });
}

/** @param {FieldProps & {rows?: number}} props */
export function TextArea({ rows = 4, ...rest }) {
  return h(Field, { ...rest, children: (/** @type {any} */ marks) => h("textarea", { ...marks, rows, dir: "auto" }) });
}

/** @param {FieldProps & {options: [value: string, shown: string][]}} props */
export function SelectField({ options, ...rest }) {
  return h(Field, {
    ...rest,
    children: (/** @type {any} */ marks) =>
      h(
        "select",
        marks,
        options.map(([value, shown]) =>
          // A name that is its own text is nobody's to translate.
          h("option", { key: value, value, selected: value === rest.value, translate: value !== shown }, shown),
        ),
      ),
  });
}

/** Names to choose from, each of which is its own text. @param {string[]} names @returns {[string, string][]} */
export const named = (names) => names.map((name) => [name, name]);

/** One of the states of something, or any. @param {FieldProps & {states: readonly (keyof ReturnType<typeof common>["states"])[], any: string}} props */
export function StatusField({ states, any, ...rest }) {
  const names = common().states;
  /** @type {[string, string][]} */
  const options = [["", any], ...states.map((name) => /** @type {[string, string]} */ ([name, names[name]]))];
  return h(SelectField, { ...rest, options });
}
