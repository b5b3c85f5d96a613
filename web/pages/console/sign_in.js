// Signing in: a key is tried against the route that tells whose it is.

import { h } from "../../vendor/preact.js";
import { useState } from "../../vendor/hooks.js";
import { Form } from "../../components/act.js";
import { TextField } from "../../components/field.js";
import { Refused } from "../../components/notice.js";
import { ApiError, call } from "../../runtime/api.js";
import { begin, ended } from "../../runtime/session.js";
import texts from "../../text/console.js";

/** @typedef {import("../../runtime/session.js").Session} Session */

/** @param {string} key @returns {Promise<Session>} */
async function holder(key) {
  // A scoped key is its renter's; what it may not see is refused where it is asked for.
  if (key.startsWith("dc1-renter-") || key.startsWith("dc1-sk-")) {
    const { renter } = await call("GET /renters/me", { key });
    return { key, role: "renter", name: renter.name };
  }
  if (key.startsWith("dc1-provider-")) {
    const { provider } = await call("GET /providers/me", { key });
    return { key, role: "owner", name: provider.name };
  }
  const { operator, may_call } = await call("GET /admin/operators/me", { key });
  // A tool has methods of its own, and no pages.
  if (operator.methods.length) throw new Error(texts().toolToken(operator.name ?? ""));
  const routes = may_call.map(({ route }) => route);
  const role = /** @type {import("../../runtime/session.js").OperatorRole} */ (operator.role);
  return { key, role: "admin", name: operator.name ?? "", operator: role, routes };
}

export default function SignIn() {
  const t = texts();
  const [error, setError] = useState(/** @type {unknown} */ (undefined));
  const isUnknown =
    error instanceof ApiError && (error.status === 401 || (error.status === 403 && error.code === "PERMISSION_DENIED"));
  /** @param {FormData} given */
  const send = (given) => holder(String(given.get("key")).trim()).then(begin, setError);
  return h(
    "div",
    { class: "narrow" },
    h("h1", null, t.signIn),
    ended.value && h("p", { class: "notice", role: "alert" }, t.endedBy[ended.value]),
    h("p", null, t.signInNote),
    error !== undefined && !isUnknown && h(Refused, { error }),
    h(
      Form,
      { act: t.signIn, send },
      // A password to browsers, so that it is hidden and in no list of what was typed before.
      h(TextField, {
        label: t.key,
        hint: [t.keyHint, " ", h("code", null, "dc1-renter-…")],
        error: isUnknown ? t.noSuchKey : undefined,
        name: "key",
        type: "password",
        required: true,
      }),
    ),
    h("p", null, t.noKey, " ", h("a", { href: "#/register" }, t.register)),
  );
}
