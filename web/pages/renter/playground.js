// Talk to a model, and see the same call as code.

import { h } from "../../vendor/preact.js";
import { useEffect, useRef, useState } from "../../vendor/hooks.js";
import { Code } from "../../components/code.js";
import { named, SelectField, TextArea, TextField } from "../../components/field.js";
import { Figures } from "../../components/figure.js";
import { loaded, said } from "../../components/notice.js";
import { call, request } from "../../runtime/api.js";
import { messages } from "../../runtime/events.js";
import { duration, number } from "../../runtime/format.js";
import { useLoad } from "../../runtime/load.js";
import texts from "../../text/renter.js";
import { samples } from "./samples.js";

/** @typedef {{text: string, firstMs?: number, perSecond?: number, error?: unknown}} Answer */
/** @typedef {{model: string, system: string, prompt: string, most: string, temperature: string}} Asked */

const LAST = "[DONE]";
const MOST_TOKENS = 256;

export default function Playground() {
  const t = texts();
  const models = useLoad((signal) => call("GET /v1/models", { signal }));
  return h(
    "div",
    null,
    h("h1", null, t.playground),
    loaded(models, ({ data }) =>
      data.length === 0 ? h("p", { class: "empty" }, t.noModels) : h(Talk, { models: data.map((model) => model.id) }),
    ),
  );
}

/** @param {Asked} asked */
function bodyOf({ model, system, prompt, most, temperature }) {
  /** @type {import("../../runtime/api.js").Schemas["ChatMessageInput"][]} */
  const said = system ? [{ role: "system", content: system }] : [];
  return {
    model,
    messages: [...said, { role: /** @type {const} */ ("user"), content: prompt }],
    max_tokens: Number(most) || MOST_TOKENS,
    ...(temperature === "" ? {} : { temperature: Number(temperature) }),
    stream: true,
  };
}

/** @param {{models: string[]}} props */
function Talk({ models }) {
  const t = texts();
  const [asked, setAsked] = useState(
    /** @type {Asked} */ ({
      model: models[0] ?? "",
      system: "",
      prompt: "",
      most: String(MOST_TOKENS),
      temperature: "",
    }),
  );
  const [answer, setAnswer] = useState(/** @type {Answer | null} */ (null));
  const running = useRef(/** @type {AbortController | null} */ (null));
  const [isRunning, setRunning] = useState(false);
  useEffect(() => () => running.current?.abort(), []);
  /** @param {keyof Asked} name */
  const set = (name) => (/** @type {string} */ value) => setAsked((before) => ({ ...before, [name]: value }));
  /** @param {SubmitEvent} event */
  const send = async (event) => {
    event.preventDefault();
    if (running.current) return;
    const leaving = new AbortController();
    running.current = leaving;
    setRunning(true);
    await listen(bodyOf(asked), leaving.signal, setAnswer);
    running.current = null;
    setRunning(false);
  };
  return h(
    "div",
    { class: "columns" },
    h(
      "form",
      { onSubmit: send },
      h(SelectField, {
        label: t.model,
        value: asked.model,
        set: set("model"),
        options: named(models),
      }),
      h(TextArea, { label: t.system, rows: 2, value: asked.system, set: set("system") }),
      h(TextArea, { label: t.prompt, rows: 5, required: true, value: asked.prompt, set: set("prompt") }),
      h(TextField, { label: t.mostTokens, type: "number", min: 1, max: 8192, value: asked.most, set: set("most") }),
      h(TextField, {
        label: t.temperature,
        type: "number",
        min: 0,
        max: 2,
        step: 0.1,
        value: asked.temperature,
        set: set("temperature"),
      }),
      h(
        "p",
        { class: "acts" },
        h("button", { type: "submit", class: "main", "aria-disabled": isRunning }, t.send),
        isRunning && h("button", { type: "button", onClick: () => running.current?.abort() }, t.stop),
      ),
    ),
    h("div", null, answer && h(Said, { answer }), h(AsCode, { body: bodyOf(asked) })),
  );
}

/**
 * Send a call and tell of its answer as it grows.
 *
 * @param {ReturnType<typeof bodyOf>} body
 * @param {AbortSignal} signal
 * @param {(answer: Answer) => void} told
 */
async function listen(body, signal, told) {
  const began = performance.now();
  /** @type {Answer} */
  let answer = { text: "" };
  let count = 0;
  told(answer);
  try {
    const sent = await request("POST /v1/chat/completions", { body, signal, headers: { accept: "text/event-stream" } });
    for await (const { data } of messages(sent)) {
      if (data === LAST) break;
      const heard = JSON.parse(data);
      if (heard.error) throw new Error(heard.error.message);
      const text = heard.choices?.[0]?.delta?.content ?? "";
      if (!text) continue;
      count += 1;
      const now = performance.now();
      const firstMs = answer.firstMs ?? now - began;
      const since = (now - began - firstMs) / 1000;
      answer = { text: answer.text + text, firstMs, ...(since > 0 ? { perSecond: (count - 1) / since } : {}) };
      told(answer);
    }
  } catch (error) {
    // Who stops an answer has what came of it, and pays for that.
    if (!signal.aborted) told({ ...answer, error });
  }
}

/** @param {{answer: Answer}} props */
function Said({ answer }) {
  const t = texts();
  const { text, firstMs, perSecond, error } = answer;
  return h(
    "section",
    { "aria-labelledby": "answer" },
    h("h2", { id: "answer" }, t.answer),
    h("pre", { class: "answer", dir: "auto", tabIndex: 0, "aria-live": "polite", "aria-label": t.answer }, text),
    error !== undefined && h("p", { class: "notice bad", role: "alert" }, h("bdi", null, said(error))),
    h(Figures, {
      of: [
        [t.firstToken, duration(firstMs === undefined ? null : firstMs / 1000)],
        [t.perSecond, number(perSecond, 1)],
      ],
    }),
  );
}

/** @param {{body: object}} props */
function AsCode({ body }) {
  const t = texts();
  const shown = samples(body).map(([name, text]) =>
    h("details", { key: name }, h("summary", null, h("bdi", null, name)), h(Code, { label: name, children: text })),
  );
  return h("section", { "aria-labelledby": "code" }, h("h2", { id: "code" }, t.code), shown);
}
