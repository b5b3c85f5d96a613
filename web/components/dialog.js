// A question before an act: asked once, answered once.

import { h } from "../vendor/preact.js";
import { useEffect, useRef } from "../vendor/hooks.js";
import { effect, signal } from "../vendor/signals.js";
import { session } from "../runtime/session.js";
import texts from "../text/common.js";

/** @typedef {import("../vendor/preact.js").ComponentChild} Child */
/**
 * @typedef {object} Question
 * @property {Child} title
 * @property {Child} [text]
 * @property {string} act what the button says that does it
 * @property {boolean} [isGrave] hurts somebody
 * @property {boolean} [isFinal] has no way back, which is said before
 * @property {Child} [fields] what else has to be said, as fields with names
 */

/** @type {import("../vendor/signals.js").Signal<(Question & {answered: (given: FormData | null) => void}) | null>} */
const asked = signal(null);

// What was asked of one is not for the next to answer.
effect(() => {
  void session.value;
  asked.peek()?.answered(null);
});

/**
 * Ask before something is done.
 *
 * @param {Question} question
 * @returns {Promise<FormData | null>} what was filled in, null where it is not to be done
 */
export function ask(question) {
  asked.value?.answered(null);
  return new Promise((done) => {
    asked.value = {
      ...question,
      answered: (given) => {
        asked.value = null;
        done(given);
      },
    };
  });
}

/** The place where questions appear, once in a page. */
export function Dialog() {
  const place = useRef(/** @type {HTMLDialogElement | null} */ (null));
  const given = useRef(/** @type {FormData | null} */ (null));
  const question = asked.value;
  useEffect(() => {
    given.current = null;
    // The browser keeps the focus inside.
    if (question) place.current?.showModal();
  }, [question]);
  if (!question) return null;
  const { title, text, act, isGrave, isFinal, fields, answered } = question;
  // Closed and not only taken away: then the browser gives the focus back to where it was.
  const close = () => place.current?.close();
  /** @param {SubmitEvent & {currentTarget: HTMLFormElement}} event */
  const submit = (event) => {
    event.preventDefault();
    given.current = new FormData(event.currentTarget);
    close();
  };
  return h(
    "dialog",
    { ref: place, "aria-labelledby": "dialog-title", onClose: () => answered(given.current) },
    h(
      "form",
      { onSubmit: submit },
      h("h2", { id: "dialog-title" }, title),
      text && h("p", null, text),
      isFinal && h("p", null, texts().final),
      fields,
      h(
        "p",
        { class: "acts" },
        h("button", { type: "submit", class: isGrave ? "grave" : "main" }, act),
        h("button", { type: "button", onClick: close }, texts().cancel),
      ),
    ),
  );
}
