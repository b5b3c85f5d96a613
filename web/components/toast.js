// What was just done, said once, with a way back where there is one.

import { h } from "../vendor/preact.js";
import { effect, signal } from "../vendor/signals.js";
import { session } from "../runtime/session.js";
import { said } from "./notice.js";
import texts from "../text/common.js";

/** @typedef {{id: number, text: string, isBad?: boolean, undo?: (() => Promise<unknown>) | undefined}} Toast */

const SHOWN_MS = 8000;
// Who finds it by the Tab key needs longer than who sees it.
const WITH_UNDO_MS = 20_000;

/** @type {import("../vendor/signals.js").Signal<Toast[]>} */
const shown = signal([]);
let count = 0;

// What one did is not for the next to read or to take back, who may have another key.
effect(() => {
  void session.value;
  shown.value = [];
});

/** @param {number} id */
const remove = (id) => (shown.value = shown.value.filter((one) => one.id !== id));

/** Say that something was done. @param {string} text @param {() => Promise<unknown>} [undo] */
export function toast(text, undo) {
  add({ text, undo });
}

/** Say that something was refused. @param {unknown} error */
export function complain(error) {
  // Of a session that ended meanwhile: nobody waits for it any more.
  if (error instanceof DOMException && error.name === "AbortError") return;
  add({ text: said(error), isBad: true });
}

/** @param {Omit<Toast, "id">} one */
function add(one) {
  const id = ++count;
  shown.value = [...shown.value, { ...one, id }];
  setTimeout(() => remove(id), one.undo ? WITH_UNDO_MS : SHOWN_MS);
}

/** @param {Toast} one */
async function takeBack({ id, undo }) {
  remove(id);
  try {
    await undo?.();
    toast(texts().undone);
  } catch (error) {
    complain(error);
  }
}

/** The place where they appear, once in a page; a screen reader reads what is new in it. */
export function Toasts() {
  const ones = shown.value.map((one) =>
    h(
      "div",
      { key: one.id, class: one.isBad ? "toast bad" : "toast" },
      h("span", null, one.text),
      one.undo && h("button", { type: "button", onClick: () => takeBack(one) }, texts().undo),
      h("button", { type: "button", class: "plain", "aria-label": texts().close, onClick: () => remove(one.id) }, "✕"),
    ),
  );
  return h("div", { class: "toasts", role: "status", "aria-live": "polite" }, ones);
}
