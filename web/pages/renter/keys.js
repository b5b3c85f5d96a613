// Scoped keys: what each may do, what it is held to, and what it has used.

import { h } from "../../vendor/preact.js";
import { useState } from "../../vendor/hooks.js";
import { Badge } from "../../components/badge.js";
import { Code } from "../../components/code.js";
import { ask } from "../../components/dialog.js";
import { TextField } from "../../components/field.js";
import { loaded } from "../../components/notice.js";
import { table } from "../../components/table.js";
import { complain, toast } from "../../components/toast.js";
import { call } from "../../runtime/api.js";
import { ago, halala, money, number, riyals } from "../../runtime/format.js";
import { useLoad } from "../../runtime/load.js";
import texts from "../../text/renter.js";

/** @typedef {import("../../runtime/api.js").Schemas["RenterKey"]} Key */

const SCOPES = /** @type {const} */ (["inference", "jobs.read", "billing", "balance.read"]);

export default function Keys() {
  const t = texts();
  const keys = useLoad((signal) => call("GET /renters/me/keys", { signal }));
  const [made, setMade] = useState("");
  const make = async () => {
    const given = await ask({ title: t.makeKey, act: t.makeKey, fields: fields() });
    if (!given) return;
    const scopes = SCOPES.filter((scope) => given.has(scope));
    const body = { label: String(given.get("label")) || null, scopes, ...limits(given) };
    await call("POST /renters/me/keys", { body, once: true }).then((answer) => {
      setMade(answer.key);
      keys.reload();
    }, complain);
  };
  return h(
    "div",
    null,
    h("h1", null, t.keys),
    made &&
      h("div", { class: "notice", role: "status" }, h("p", null, t.keyMade), h(Code, { label: t.key, children: made })),
    h("p", { class: "acts" }, h("button", { type: "button", class: "main", onClick: make }, t.makeKey)),
    loaded(keys, ({ keys: rows }) => listed(rows, keys.reload)),
  );
}

/** @param {Key} [key] */
function fields(key) {
  const t = texts();
  const budget = key?.monthly_budget_halala == null ? "" : riyals(key.monthly_budget_halala);
  const named = key
    ? []
    : [
        h(TextField, { label: t.label, name: "label" }),
        h(
          "fieldset",
          null,
          h("legend", null, t.scopes),
          SCOPES.map((scope) =>
            h(
              "label",
              { key: scope },
              h("input", { type: "checkbox", name: scope, defaultChecked: scope === "inference" }),
              " ",
              h("code", null, scope),
            ),
          ),
        ),
      ];
  return [
    ...named,
    h(TextField, { label: t.budget, name: "budget", type: "number", min: 0, step: "any", value: budget }),
    h(TextField, {
      label: t.requestsPerMinute,
      name: "requests",
      type: "number",
      min: 1,
      value: key?.requests_per_minute ?? "",
    }),
    h(TextField, {
      label: t.tokensPerMinute,
      name: "tokens",
      type: "number",
      min: 1,
      value: key?.tokens_per_minute ?? "",
    }),
    h(TextField, { label: t.streams, name: "streams", type: "number", min: 1, value: key?.streams ?? "" }),
  ];
}

/** @param {FormData} given */
function limits(given) {
  /** @param {string} name */
  const said = (name) => (given.get(name) ? Number(given.get(name)) : null);
  const budget = said("budget");
  return {
    monthly_budget_halala: budget === null ? null : halala(budget),
    requests_per_minute: said("requests"),
    tokens_per_minute: said("tokens"),
    streams: said("streams"),
  };
}

/** @param {Key[]} rows @param {() => void} reload */
function listed(rows, reload) {
  const t = texts();
  /** @param {Key} key */
  const revoke = async (key) => {
    if (!(await ask({ title: t.revokeQuestion, act: t.revoke, isGrave: true, isFinal: true }))) return;
    await call("DELETE /renters/me/keys/{key_id}", { path: { key_id: key.id } }).then(() => {
      toast(t.revoked);
      reload();
    }, complain);
  };
  /** @param {Key} key */
  const limit = async (key) => {
    const given = await ask({ title: t.limits, act: t.save, fields: fields(key) });
    if (!given) return;
    /** @param {ReturnType<typeof limits>} wanted */
    const set = (wanted) =>
      call("PATCH /renters/me/keys/{key_id}", {
        path: { key_id: key.id },
        body: wanted,
      }).then(reload);
    const { monthly_budget_halala, requests_per_minute, tokens_per_minute, streams } = key;
    const before = { monthly_budget_halala, requests_per_minute, tokens_per_minute, streams };
    await set(limits(given)).then(() => toast(t.saved, () => set(before)), complain);
  };
  return table({
    caption: t.keys,
    rows,
    empty: t.noKeys,
    keyOf: (row) => row.id,
    columns: [
      { key: "label", title: t.label, cell: (row) => h("bdi", null, row.label ?? row.key_hint), width: 150 },
      { key: "scopes", title: t.scopes, cell: (row) => h("code", null, row.scopes.join(" ")), isExtra: true },
      { key: "used", title: t.lastUsed, cell: (row) => ago(row.last_used_at), isExtra: true, width: 120 },
      {
        key: "month",
        title: t.budgetUsed,
        cell: (row) => [
          money(row.spent_this_month_halala),
          row.monthly_budget_halala != null && ` / ${money(row.monthly_budget_halala)}`,
        ],
        isNumber: true,
        width: 180,
      },
      {
        key: "calls",
        title: t.requestsPerMinute,
        cell: (row) => number(row.requests_per_minute),
        isNumber: true,
        isExtra: true,
        width: 110,
      },
      {
        key: "acts",
        title: "",
        cell: (row) =>
          row.revoked_at
            ? h(Badge, { kind: "bad", children: t.isRevoked })
            : [
                h("button", { key: "limit", type: "button", class: "plain", onClick: () => limit(row) }, t.limits),
                h("button", { key: "revoke", type: "button", class: "plain", onClick: () => revoke(row) }, t.revoke),
              ],
        width: 190,
      },
    ],
  });
}
