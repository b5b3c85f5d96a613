// One job: how it stands, what happened, what it printed, what it made and what it cost.

import { h } from "../../vendor/preact.js";
import { useEffect, useState } from "../../vendor/hooks.js";
import { Act } from "../../components/act.js";
import { Status } from "../../components/badge.js";
import { ask } from "../../components/dialog.js";
import { Figures } from "../../components/figure.js";
import { Liveness } from "../../components/liveness.js";
import { loaded } from "../../components/notice.js";
import { table } from "../../components/table.js";
import { jobType, word } from "../../components/word.js";
import { complain, toast } from "../../components/toast.js";
import { When } from "../../components/when.js";
import { call } from "../../runtime/api.js";
import { follow } from "../../runtime/events.js";
import { ago, duration, money, number, percent } from "../../runtime/format.js";
import { inLanguage, language } from "../../runtime/language.js";
import { useLoad } from "../../runtime/load.js";
import { giveBack } from "../admin/acts.js";
import { go } from "../../runtime/router.js";
import { may, session } from "../../runtime/session.js";
import adminTexts from "../../text/admin.js";
import texts from "../../text/renter.js";
import words from "../../text/words.js";
import { JobLog } from "./job_log.js";

/** @typedef {import("../../runtime/api.js").Schemas} Schemas */

const EVERY_SECONDS = 15;
const OPEN = ["queued", "pending", "running"];

/** @param {import("../../runtime/router.js").Place} place */
export default function Job({ params }) {
  const t = texts();
  const id = params["id"] ?? "";
  const { events, isLive } = useEvents(id);
  // Whatever happened to it, it is another job now.
  const job = useLoad(
    (signal) => call("GET /jobs/{job_id}", { path: { job_id: id }, signal }),
    [id, events.length],
    // What it waits for changes with the machines, of which no event of the job tells.
    events.at(-1)?.status === "queued" ? EVERY_SECONDS : 0,
  );
  return h(
    "div",
    null,
    h("h1", null, t.job, " ", h("bdi", { class: "id" }, id)),
    // What has ended moves no more.
    job.value && OPEN.includes(job.value.job.status) && h(Liveness, { isLive }),
    loaded(job, ({ job: told }) => h(Detail, { job: told })),
    h(
      "section",
      { "aria-labelledby": "timeline" },
      h("h2", { id: "timeline" }, t.timeline),
      timeline(events, job.value?.job),
    ),
    h("section", { "aria-labelledby": "log" }, h("h2", { id: "log" }, t.log), h(JobLog, { id })),
  );
}

/** @param {string} id */
function useEvents(id) {
  const [events, setEvents] = useState(/** @type {Schemas["LifecycleEvent"][]} */ ([]));
  const [isLive, setLive] = useState(false);
  useEffect(() => {
    const leaving = new AbortController();
    setEvents([]);
    /** @param {object} event */
    const heard = (event) => {
      if ("sequence_no" in event) setEvents((before) => [...before, /** @type {Schemas["LifecycleEvent"]} */ (event)]);
    };
    const given = { path: { job_id: id }, signal: leaving.signal };
    follow("GET /jobs/{job_id}/lifecycle/stream", given, heard, setLive).catch(
      (error) => leaving.signal.aborted || complain(error),
    );
    return () => leaving.abort();
  }, [id]);
  return { events, isLive };
}

/** @param {{job: Schemas["JobDetail"]}} props */
function Detail({ job }) {
  const t = texts();
  const isOpen = OPEN.includes(job.status);
  return h(
    "div",
    null,
    h(
      "p",
      null,
      h(Status, { of: job.status }),
      " ",
      jobType(job.job_type),
      " ",
      h("bdi", { class: "quiet" }, job.model),
    ),
    job.error && h("p", { class: "notice bad" }, t.error, ": ", h("bdi", null, inLanguage(job.error, job.error_ar))),
    isOpen &&
      job.waiting_for &&
      h("p", { class: "notice" }, t.waitingFor, ": ", h("bdi", null, inLanguage(job.waiting_for, job.waiting_for_ar))),
    h(Figures, {
      of: [
        [t.submitted, ago(job.submitted_at), h(When, { at: job.submitted_at })],
        [t.started, ago(job.started_at), h(When, { at: job.started_at })],
        [t.ended, ago(job.completed_at), h(When, { at: job.completed_at })],
        [t.seconds, duration(job.used_seconds ?? job.elapsed_sec)],
        [t.rate, money(job.rate_halala_per_minute)],
        [t.hold, isOpen ? money(job.cost_halala) : "–"],
        [t.cost, money(job.actual_cost_halala)],
        [t.refunded, money(job.refunded_halala)],
        [t.tokens, number(job.completion_tokens)],
        [t.fault, job.fault ? word(words().faults, job.fault) : "–"],
        [
          t.speed,
          percent(job.performance_ratio == null ? null : job.performance_ratio * 100),
          job.throttled ? t.throttled : "",
        ],
      ],
    }),
    h(Acts, { job, isOpen }),
    !isOpen && h(Bill, { id: job.job_id }),
    job.status === "completed" && h(Output, { id: job.job_id }),
  );
}

/** @param {{job: Schemas["JobDetail"], isOpen: boolean}} props */
function Acts({ job, isOpen }) {
  const t = texts();
  const path = { job_id: job.job_id };
  const isAdmin = session.value?.role === "admin";
  const cancelling = isAdmin ? "POST /admin/jobs/{job_id}/cancel" : "POST /jobs/{job_id}/cancel";
  const retrying = isAdmin ? "POST /admin/jobs/{job_id}/requeue" : "POST /jobs/{job_id}/retry";
  const cancel = async () => {
    if (!(await ask({ title: t.cancelQuestion, text: t.cancelNote, act: t.cancelJob, isGrave: true, isFinal: true })))
      return;
    await call(cancelling, { path, body: {} }).then(() => toast(t.cancelled), complain);
  };
  const retry = async () => {
    await call(retrying, { path, body: {}, once: true }).then((made) => {
      toast(t.retried);
      go(`/jobs/${encodeURIComponent(made.job.job_id)}`);
    }, complain);
  };
  if (isOpen && !may(cancelling)) return null;
  if (isOpen) return h("p", { class: "acts" }, h(Act, { act: cancel, kind: "grave", children: t.cancelJob }));
  return h(
    "p",
    { class: "acts" },
    job.status === "failed" && may(retrying) && h(Act, { act: retry, children: t.retryJob }),
    // An owner reads the job too, and a renter whose money it was.
    isAdmin &&
      may("POST /admin/jobs/{job_id}/refund") &&
      !!job.actual_cost_halala &&
      h(Act, { act: () => giveBack(job.job_id), kind: "grave", children: adminTexts().giveBack }),
  );
}

/** @param {Schemas["LifecycleEvent"][]} rows @param {Schemas["JobDetail"] | undefined} job */
function timeline(rows, job) {
  const t = texts();
  /** @param {Schemas["LifecycleEvent"]} row */
  const note = ({ message, error_category }) =>
    // Why it failed is said in both languages of the job, and of the event in one.
    message && message === job?.error ? inLanguage(message, job.error_ar) : (message ?? error_category ?? "");
  return table({
    caption: t.timeline,
    rows,
    keyOf: (row) => row.sequence_no,
    columns: [
      { key: "when", title: t.when, cell: (row) => h(When, { at: row.occurred_at }), width: 180 },
      { key: "status", title: t.status, cell: (row) => h(Status, { of: row.status }), width: 120 },
      {
        key: "event",
        title: t.event,
        cell: (row) => word(words().jobEvents, row.event_type),
        isExtra: true,
        width: 200,
      },
      { key: "message", title: t.message, cell: (row) => h("bdi", { class: "whole" }, note(row)) },
    ],
  });
}

/** @param {{id: string}} props */
function Bill({ id }) {
  const t = texts();
  const bill = useLoad(
    (signal) => call("GET /jobs/{job_id}/invoice", { path: { job_id: id }, signal }),
    [id, language.value],
  );
  const shown = loaded(bill, ({ lines }) =>
    table({
      caption: t.bill,
      rows: lines.map((line, at) => ({ ...line, at })),
      keyOf: (row) => row.at,
      columns: [
        {
          key: "line",
          title: t.line,
          cell: (row) => h("bdi", { class: "whole" }, inLanguage(row.description, row.description_ar)),
        },
        { key: "time", title: t.seconds, cell: (row) => duration(row.seconds), isNumber: true, width: 110 },
        {
          key: "tokens",
          title: t.tokens,
          cell: (row) => number(row.tokens),
          isNumber: true,
          isExtra: true,
          width: 110,
        },
        { key: "amount", title: t.amount, cell: (row) => money(row.amount_halala), isNumber: true, width: 110 },
      ],
    }),
  );
  return h("section", { "aria-labelledby": "bill" }, h("h2", { id: "bill" }, t.bill), shown);
}

/** @param {{id: string}} props */
function Output({ id }) {
  const t = texts();
  const output = useLoad((signal) => call("GET /jobs/{job_id}/output", { path: { job_id: id }, signal }), [id]);
  return h(
    "section",
    { "aria-labelledby": "output" },
    h("h2", { id: "output" }, t.output),
    loaded(output, (told) => made(told)),
  );
}

/** @param {any} told a result has the form that the kind of work gives it */
function made(told) {
  if (told.type === "image" && told.image_base64)
    return h("img", { src: `data:image/${told.format};base64,${told.image_base64}`, alt: told.prompt ?? "" });
  const text = told.response ?? told.result ?? told;
  if (typeof text === "string") return h("pre", { class: "answer", dir: "auto", tabIndex: 0 }, text);
  return h("pre", { dir: "auto", tabIndex: 0 }, JSON.stringify(text, null, 2));
}
