// Opening an account: as a renter or as an owner, with a key that is shown once.

import { h } from "../../vendor/preact.js";
import { useState } from "../../vendor/hooks.js";
import { Form } from "../../components/act.js";
import { Code } from "../../components/code.js";
import { SelectField, TextField } from "../../components/field.js";
import { Refused } from "../../components/notice.js";
import { call } from "../../runtime/api.js";
import { go } from "../../runtime/router.js";
import { begin } from "../../runtime/session.js";
import texts from "../../text/console.js";

/** @typedef {"renter" | "owner"} Role */
/** @typedef {import("../../runtime/session.js").Session} Session */

/** Where each begins. @type {Record<Role, string>} */
const FIRST = { renter: "/", owner: "/install" };

/** @param {Role} role @param {FormData} given @returns {Promise<Session>} */
async function opened(role, given) {
  const name = String(given.get("name")).trim();
  const email = String(given.get("email")).trim();
  if (role === "renter") {
    const { api_key } = await call("POST /renters/register", { body: { name, email }, once: true });
    return { key: api_key, role, name };
  }
  // What the installer is for; what the machine has in truth its daemon reports.
  const body = { name, email, os: /** @type {const} */ ("linux"), gpu_model: String(given.get("gpu")).trim() };
  const { api_key } = await call("POST /providers/register", { body, once: true });
  return { key: api_key, role, name };
}

/** @param {import("../../runtime/router.js").Place} place */
export default function Register({ query }) {
  const t = texts();
  const [role, setRole] = useState(/** @type {Role} */ (query.get("as") === "owner" ? "owner" : "renter"));
  const [made, setMade] = useState(/** @type {Session | undefined} */ (undefined));
  const [error, setError] = useState(/** @type {unknown} */ (undefined));
  /** @param {FormData} given */
  const send = (given) => opened(role, given).then(setMade, setError);
  const enter = () => {
    if (!made) return;
    go(FIRST[role]);
    begin(made);
  };
  return h(
    "div",
    { class: "narrow" },
    h("h1", null, t.register),
    made
      ? [
          h("p", { key: "told", class: "notice", role: "status" }, t.registered),
          h(Code, { key: "key", label: t.key, children: made.key }),
          h(
            "p",
            { key: "on", class: "acts" },
            h("button", { type: "button", class: "main", onClick: enter }, t.keyIsKept),
          ),
        ]
      : [
          error !== undefined && h(Refused, { key: "error", error }),
          h(
            Form,
            { key: "form", act: t.register, send },
            h(SelectField, {
              label: t.as,
              value: role,
              set: (value) => setRole(value === "owner" ? "owner" : "renter"),
              options: /** @type {[string, string][]} */ (Object.entries(t.asOf)),
            }),
            h(TextField, { label: t.name, name: "name", required: true, autocomplete: "name" }),
            h(TextField, { label: t.email, name: "email", type: "email", required: true, autocomplete: "email" }),
            role === "owner" && h(TextField, { label: t.gpu, hint: t.gpuHint, name: "gpu" }),
          ),
        ],
  );
}
