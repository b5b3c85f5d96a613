// Who operates the market, people and tools: each with a token, which is shown once.

import { h } from "../../vendor/preact.js";
import { useState } from "../../vendor/hooks.js";
import { moreOf } from "../../components/act.js";
import { Badge } from "../../components/badge.js";
import { Code } from "../../components/code.js";
import { ask } from "../../components/dialog.js";
import { SelectField, TextArea, TextField } from "../../components/field.js";
import { loaded } from "../../components/notice.js";
import { table } from "../../components/table.js";
import { complain, toast } from "../../components/toast.js";
import { word } from "../../components/word.js";
import { call } from "../../runtime/api.js";
import { ago, day } from "../../runtime/format.js";
import { useMore } from "../../runtime/load.js";
import texts from "../../text/admin.js";
import words from "../../text/words.js";

/** @typedef {import("../../runtime/api.js").Schemas["Operator"]} Operator */

const USUAL_DAYS = 90;
const PAGE = 100;

export default function Operators() {
  const t = texts();
  const operators = useMore(async (page, signal) => {
    const told = await call("GET /admin/operators", { query: { page: page + 1, limit: PAGE }, signal });
    return { rows: told.operators, hasMore: page + 1 < told.pagination.pages, told };
  });
  const [token, setToken] = useState("");
  /** @param {{token: string}} made */
  const show = (made) => {
    setToken(made.token);
    operators.reload();
  };
  const add = async () => {
    const given = await ask({ title: t.addOperator, act: t.addOperator, fields: fields() });
    if (!given) return;
    const body = {
      name: String(given.get("name")),
      role: /** @type {"viewer"} */ (given.get("role")),
      methods: String(given.get("methods")).split(/\s+/).filter(Boolean),
      ...end(given),
    };
    await call("POST /admin/operators", { body }).then(show, complain);
  };
  return h(
    "div",
    null,
    h("h1", null, t.operators),
    token &&
      h(
        "div",
        { class: "notice", role: "status" },
        h("p", null, t.tokenMade),
        h(Code, { label: t.token, children: token }),
      ),
    h("p", { class: "acts" }, h("button", { type: "button", class: "main", onClick: add }, t.addOperator)),
    loaded(operators, ({ rows, more }) => h("div", null, listed(rows, operators.reload, show), moreOf(more))),
  );
}

const days = () => h(TextField, { label: texts().tokenDays, name: "days", type: "number", min: 1, value: USUAL_DAYS });

/** @param {FormData} given */
const end = (given) => (given.get("days") ? { expires_in_days: Number(given.get("days")) } : {});

function fields() {
  const t = texts();
  return [
    h(TextField, { label: t.name, name: "name", required: true, hint: t.operatorName }),
    h(SelectField, { label: t.role, name: "role", value: "viewer", options: Object.entries(words().operatorRoles) }),
    days(),
    h(TextArea, {
      label: t.methods,
      name: "methods",
      hint: [t.methodsNote, " ", h("code", null, "AdminJobService/*")],
    }),
  ];
}

/** @param {Operator[]} rows @param {() => void} reload @param {(made: {token: string}) => void} show */
function listed(rows, reload, show) {
  const t = texts();
  /** @param {Operator} row */
  const rotate = async (row) => {
    const given = await ask({ title: t.rotateQuestion, act: t.rotate, fields: days(), isGrave: true, isFinal: true });
    if (!given) return;
    const path = { operator_id: row.id ?? 0 };
    await call("POST /admin/operators/{operator_id}/rotate-token", { path, body: end(given) }).then(show, complain);
  };
  /** @param {Operator} row */
  const revoke = async (row) => {
    if (!(await ask({ title: t.revokeQuestion, act: t.revoke, isGrave: true, isFinal: true }))) return;
    await call("DELETE /admin/operators/{operator_id}", { path: { operator_id: row.id ?? 0 } }).then(() => {
      toast(t.revoked);
      reload();
    }, complain);
  };
  /** @param {Operator} row */
  const acts = (row) =>
    row.revoked_at
      ? h(Badge, { kind: "bad", children: t.isRevoked })
      : [
          h("button", { key: "rotate", type: "button", class: "plain", onClick: () => rotate(row) }, t.rotate),
          h("button", { key: "revoke", type: "button", class: "plain", onClick: () => revoke(row) }, t.revoke),
        ];
  return table({
    caption: t.operators,
    rows,
    empty: t.noOperators,
    keyOf: (row) => row.id ?? 0,
    columns: [
      { key: "name", title: t.name, cell: (row) => h("bdi", null, `${row.name} #${row.id}`), width: 170 },
      { key: "role", title: t.role, cell: (row) => word(words().operatorRoles, row.role), width: 120 },
      { key: "acts", title: "", cell: acts, width: 210 },
      { key: "used", title: t.lastUsed, cell: (row) => ago(row.last_used_at), isExtra: true, width: 130 },
      { key: "end", title: t.tokenEnds, cell: (row) => day(row.expires_at), isExtra: true, width: 130 },
      { key: "by", title: t.actor, cell: (row) => h("bdi", null, row.created_by), isExtra: true, width: 150 },
      {
        key: "methods",
        title: t.methods,
        cell: (row) => (row.methods.length ? h("code", null, row.methods.join(" ")) : t.allMethods),
        isExtra: true,
      },
    ],
  });
}
