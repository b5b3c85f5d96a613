// Where an account is told of what happens, the same for every role.

import { h } from "../../vendor/preact.js";
import { useState } from "../../vendor/hooks.js";
import { Act, Form } from "../../components/act.js";
import { Badge } from "../../components/badge.js";
import { ask } from "../../components/dialog.js";
import { SelectField, TextField } from "../../components/field.js";
import { loaded } from "../../components/notice.js";
import { table } from "../../components/table.js";
import { complain, toast } from "../../components/toast.js";
import { undelivered, word } from "../../components/word.js";
import { call } from "../../runtime/api.js";
import { ago } from "../../runtime/format.js";
import { language } from "../../runtime/language.js";
import { useLoad } from "../../runtime/load.js";
import { may } from "../../runtime/session.js";
import texts from "../../text/notifications.js";
import words from "../../text/words.js";

/** @typedef {import("../../runtime/api.js").Schemas["NotificationChannel"]} Channel */
/** @typedef {import("../../runtime/api.js").Schemas["AddNotificationChannelRequest"]["kind"]} Kind */

const EVERY_SECONDS = 15;

/** @param {number} channel_id */
const dropped = (channel_id) => call("DELETE /notifications/{channel_id}", { path: { channel_id } });

export default function Notifications() {
  const t = texts();
  const channels = useLoad((signal) => call("GET /notifications", { signal }), [], EVERY_SECONDS);
  return h(
    "div",
    null,
    h("h1", null, t.title),
    h("p", { class: "lead" }, t.note),
    loaded(channels, ({ channels: rows, events }) => [
      listed(rows, channels.reload),
      may("POST /notifications") &&
        h("section", { key: "add", "aria-label": t.add }, h(Add, { events, done: channels.reload })),
    ]),
  );
}

/** @param {{events: string[], done: () => void}} props */
function Add({ events, done }) {
  const t = texts();
  const [kind, setKind] = useState(/** @type {Kind} */ ("email"));
  /** @param {FormData} given @param {HTMLFormElement} form */
  const send = (given, form) => {
    const body = {
      kind,
      target: String(given.get("target")),
      events: events.filter((name) => given.has(name)),
      language: /** @type {"en" | "ar"} */ (given.get("language")),
    };
    return call("POST /notifications", { body }).then(({ channel }) => {
      toast(channel.confirmed ? t.added : t.codeSent, () => dropped(channel.id).then(done));
      form.reset();
      done();
    }, complain);
  };
  const kinds = /** @type {[Kind, string][]} */ (Object.entries(t.kinds));
  return h(
    Form,
    { act: t.add, send },
    h(SelectField, {
      label: t.kind,
      value: kind,
      set: (value) => setKind(/** @type {Kind} */ (value)),
      options: kinds,
    }),
    h(TextField, { label: t.target, hint: t.targetHints[kind], name: "target", required: true }),
    h(SelectField, {
      label: t.language,
      name: "language",
      value: language.value,
      options: /** @type {[string, string][]} */ (Object.entries(t.languages)),
    }),
    h(
      "fieldset",
      null,
      h("legend", null, t.events),
      events.map((name) =>
        h(
          "label",
          { key: name },
          h("input", { type: "checkbox", name, defaultChecked: true }),
          " ",
          word(words().notifications, name),
        ),
      ),
    ),
  );
}

/** @param {Channel[]} rows @param {() => void} reload */
function listed(rows, reload) {
  const t = texts();
  /** @param {Channel} row */
  const test = (row) =>
    call("POST /notifications/{channel_id}/test", { path: { channel_id: row.id }, body: {} }).then(() => {
      toast(t.tested);
      reload();
    }, complain);
  /** @param {Channel} row */
  const confirm = async (row) => {
    const given = await ask({
      title: t.confirmTitle,
      text: h("bdi", null, row.hint),
      act: t.confirm,
      fields: h(TextField, { label: t.code, hint: t.codeHint, name: "code", required: true }),
    });
    if (given === null) return;
    const body = { code: String(given.get("code")) };
    await call("POST /notifications/{channel_id}/confirm", { path: { channel_id: row.id }, body }).then(() => {
      toast(t.confirmed);
      reload();
    }, complain);
  };
  /** @param {Channel} row */
  const remove = async (row) => {
    const text = h("bdi", null, row.hint);
    // The market tells the rest of the address to nobody, so it cannot be added again from here.
    if (!(await ask({ title: t.removeQuestion, text, act: t.remove, isGrave: true, isFinal: true }))) return;
    await dropped(row.id).then(() => {
      toast(t.removed);
      reload();
    }, complain);
  };
  /** @type {Record<string, string>} */
  const kinds = t.kinds;
  return table({
    caption: t.title,
    rows,
    empty: t.none,
    keyOf: (row) => row.id,
    columns: [
      { key: "where", title: t.target, cell: (row) => h("bdi", null, row.hint) },
      { key: "kind", title: t.kind, cell: (row) => kinds[row.kind] ?? h("bdi", null, row.kind), width: 130 },
      { key: "state", title: t.sent, cell: arrived, width: 200 },
      {
        key: "events",
        title: t.events,
        cell: (row) => row.events.map((name, at) => [at > 0 && " · ", word(words().notifications, name)]),
        isExtra: true,
      },
      {
        key: "acts",
        title: "",
        cell: (row) => [
          !row.confirmed &&
            may("POST /notifications/{channel_id}/confirm") &&
            h(Act, { key: "confirm", act: () => confirm(row), kind: "plain", children: t.confirm }),
          row.confirmed &&
            may("POST /notifications/{channel_id}/test") &&
            h(Act, { key: "test", act: () => test(row), kind: "plain", children: t.test }),
          may("DELETE /notifications/{channel_id}") &&
            h(Act, { key: "remove", act: () => remove(row), kind: "plain", children: t.remove }),
        ],
        width: 150,
      },
    ],
  });
}

/** @param {Channel} row */
function arrived(row) {
  const t = texts();
  const state = !row.confirmed && h(Badge, { kind: "warn", children: t.unconfirmed });
  // Also of a code that did not arrive: both are to be known, for a wrong address is found so.
  if (row.last_error)
    return [
      state,
      " ",
      h(Badge, { kind: "bad", children: t.failed }),
      " ",
      h("bdi", { class: "whole" }, undelivered(row.last_error)),
    ];
  if (state) return state;
  return row.last_sent_at ? ago(row.last_sent_at) : t.waits;
}
