// Buttons and forms that do one thing at a time: a second click while the first is on its way does nothing.

import { h } from "../vendor/preact.js";
import { useRef, useState } from "../vendor/hooks.js";
import texts from "../text/common.js";

/** @typedef {import("../vendor/preact.js").ComponentChildren} Children */

/**
 * Its button is said to be disabled and is not: one that is cannot be given back the focus when its question was answered.
 *
 * @returns {[isActing: boolean, run: (act: () => unknown) => Promise<void>]}
 */
function useActing() {
  const [isActing, setActing] = useState(false);
  // The page is drawn anew a moment later than a second click may come.
  const acting = useRef(false);
  const run = async (/** @type {() => unknown} */ act) => {
    if (acting.current) return;
    acting.current = true;
    setActing(true);
    try {
      await act();
    } finally {
      acting.current = false;
      setActing(false);
    }
  };
  return [isActing, run];
}

/** @param {{act: () => unknown, kind?: "main" | "grave" | "plain" | "", children: Children}} props */
export function Act({ act, kind = "", children }) {
  const [isActing, run] = useActing();
  return h("button", { type: "button", class: kind, "aria-disabled": isActing, onClick: () => run(act) }, children);
}

/** @param {{act: string, send: (given: FormData, form: HTMLFormElement) => unknown, isReady?: boolean, children?: Children}} props */
export function Form({ act, send, isReady = true, children }) {
  const [isSending, run] = useActing();
  /** @param {SubmitEvent & {currentTarget: HTMLFormElement}} event */
  const submit = (event) => {
    event.preventDefault();
    const form = event.currentTarget;
    return run(() => send(new FormData(form), form));
  };
  const button = h("button", { type: "submit", class: "main", "aria-disabled": isSending, disabled: !isReady }, act);
  return h("form", { onSubmit: submit }, children, h("p", { class: "acts" }, button));
}

/** The way to more of a list; nothing where all of it is there. @param {(() => void) | undefined} more */
export const moreOf = (more) => more && h("p", { class: "acts" }, h(Act, { act: more, children: texts().more }));
