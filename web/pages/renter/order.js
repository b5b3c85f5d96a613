// Order a job, with what it would cost beside the form.

import { h } from "../../vendor/preact.js";
import { useEffect, useState } from "../../vendor/hooks.js";
import { Form } from "../../components/act.js";
import { named, SelectField, TextArea, TextField } from "../../components/field.js";
import { Figures } from "../../components/figure.js";
import { said } from "../../components/notice.js";
import { complain, toast } from "../../components/toast.js";
import { call } from "../../runtime/api.js";
import { duration, money, number } from "../../runtime/format.js";
import { inLanguage } from "../../runtime/language.js";
import { useLoad } from "../../runtime/load.js";
import { go } from "../../runtime/router.js";
import texts from "../../text/renter.js";
import words from "../../text/words.js";

/** @typedef {import("../../runtime/api.js").Schemas} Schemas */
/** @typedef {"custom_container" | "llm_inference"} Kind */
/** @typedef {{kind: Kind, minutes: string, gpu: string, count: string, price: "priority" | "standard" | "economy", image: string, command: string, model: string, prompt: string}} Wanted */

/** @type {Wanted} */
const BEGINNING = {
  kind: "custom_container",
  minutes: "10",
  gpu: "",
  count: "1",
  price: "standard",
  image: "",
  command: "",
  model: "",
  prompt: "",
};
const PAUSE_MS = 400;

/** @param {Wanted} wanted @returns {Schemas["SubmitJobRequest"]} */
function orderOf(wanted) {
  const isModel = wanted.kind === "llm_inference";
  return {
    job_type: wanted.kind,
    duration_minutes: Number(wanted.minutes) || 0,
    pricing_class: wanted.price,
    ...(wanted.gpu ? { gpu_requirements: { gpu_type: wanted.gpu } } : {}),
    ...(isModel
      ? { params: { model: wanted.model, prompt: wanted.prompt } }
      : {
          container_image: wanted.image,
          container_spec: { gpu_count: Number(wanted.count) || 1 },
          ...(wanted.command ? { command: wanted.command } : {}),
        }),
  };
}

/** @param {Wanted} wanted */
const isWhole = (wanted) =>
  Number(wanted.minutes) > 0 && (wanted.kind === "llm_inference" ? Boolean(wanted.prompt) : Boolean(wanted.image));

export default function Order() {
  const t = texts();
  const [wanted, setWanted] = useState(BEGINNING);
  const images = useLoad((signal) => call("GET /containers/registry", { signal }));
  const offers = useLoad((signal) => call("GET /market/summary", { signal }));
  /** @param {keyof Wanted} name */
  const set = (name) => (/** @type {string} */ value) => setWanted((before) => ({ ...before, [name]: value }));
  const names = images.value?.images ?? [];
  useEffect(() => {
    if (!wanted.image && names[0]) set("image")(names[0]);
  }, [names.length]);
  const send = () =>
    call("POST /jobs/submit", { body: orderOf(wanted), once: true }).then((made) => {
      toast(t.submitted_);
      go(`/jobs/${encodeURIComponent(made.job_id)}`);
    }, complain);
  return h(
    "div",
    null,
    h("h1", null, t.order),
    h(
      "div",
      { class: "columns" },
      h(
        Form,
        { act: t.submit, send, isReady: isWhole(wanted) },
        h(SelectField, { label: t.type, value: wanted.kind, set: set("kind"), options: kinds() }),
        wanted.kind === "llm_inference" ? prompted(wanted, set) : contained(wanted, set, names),
        h(SelectField, { label: t.gpu, value: wanted.gpu, set: set("gpu"), options: gpus(offers.value) }),
        h(TextField, {
          label: t.minutes,
          type: "number",
          min: 1,
          required: true,
          value: wanted.minutes,
          set: set("minutes"),
        }),
        h(SelectField, { label: t.pricingClass, value: wanted.price, set: set("price"), options: classes() }),
      ),
      h(Estimate, { wanted }),
    ),
  );
}

/** @returns {[string, string][]} */
const kinds = () => [
  ["custom_container", words().jobTypes.custom_container],
  ["llm_inference", words().jobTypes.llm_inference],
];
/** @returns {[string, string][]} */
const classes = () => Object.entries(texts().classes);
/** @param {any} offers @returns {[string, string][]} */
const gpus = (offers) => [
  ["", texts().anyGpu],
  .../** @type {[string, string][]} */ (
    (offers?.gpu_types ?? []).map((/** @type {any} */ one) => [one.gpu_type, one.gpu_type])
  ),
];

/** @typedef {(name: keyof Wanted) => (value: string) => void} Set */

/** @param {Wanted} wanted @param {Set} set @param {string[]} names */
function contained(wanted, set, names) {
  const t = texts();
  return [
    h(SelectField, {
      label: t.image,
      value: wanted.image,
      set: set("image"),
      options: named(names),
    }),
    h(TextField, { label: t.command, value: wanted.command, set: set("command"), placeholder: "python train.py" }),
    h(TextField, { label: t.gpuCount, type: "number", min: 1, max: 8, value: wanted.count, set: set("count") }),
  ];
}

/** @param {Wanted} wanted @param {Set} set */
function prompted(wanted, set) {
  const t = texts();
  return [
    h(TextField, { label: t.model, value: wanted.model, set: set("model") }),
    h(TextArea, { label: t.prompt, required: true, value: wanted.prompt, set: set("prompt") }),
  ];
}

/** What the order would cost, asked once its writer pauses. @param {{wanted: Wanted}} props */
function Estimate({ wanted }) {
  const t = texts();
  const [state, setState] = useState(/** @type {{told?: Schemas["EstimateJobResponse"], error?: unknown}} */ ({}));
  const order = JSON.stringify(orderOf(wanted));
  useEffect(() => {
    const leaving = new AbortController();
    if (!isWhole(wanted)) return setState({});
    const timer = setTimeout(() => {
      call("POST /jobs/estimate", { body: JSON.parse(order), signal: leaving.signal }).then(
        (told) => setState({ told }),
        (error) => leaving.signal.aborted || setState({ error }),
      );
    }, PAUSE_MS);
    return () => {
      clearTimeout(timer);
      leaving.abort();
    };
  }, [order]);
  const { told, error } = state;
  return h(
    "section",
    { "aria-labelledby": "estimate", "aria-live": "polite" },
    h("h2", { id: "estimate" }, t.estimate),
    h(Figures, {
      of: [
        [t.quote, money(told?.quote_halala)],
        [t.rate, money(told?.hold_rate_halala_per_minute)],
        [t.fitting, number(told?.machines_fitting)],
        [t.free, number(told?.machines_free)],
        [t.wait, duration(told?.expected_wait_seconds)],
      ],
    }),
    told?.reason && h("p", { class: "notice" }, h("bdi", null, inLanguage(told.reason, told.reason_ar))),
    error !== undefined && h("p", { class: "notice bad" }, h("bdi", null, said(error))),
  );
}
