// What who is signed in finds where accounts are opened: links of the public pages lead there, whoever follows them.

import { h } from "../../vendor/preact.js";
import { end, session } from "../../runtime/session.js";
import texts from "../../text/console.js";

export default function SignedIn() {
  const t = texts();
  const who = session.value;
  if (!who) return null;
  return h(
    "div",
    { class: "narrow" },
    h("h1", null, t.register),
    h("p", null, t.signedInAs[who.role], who.name && [" ", h("bdi", { key: "name" }, who.name)]),
    h("p", null, t.signOutFirst),
    h(
      "p",
      { class: "acts" },
      // The address stays, and with it what was to be opened.
      h("button", { type: "button", class: "main", onClick: () => end() }, t.signOutAndRegister),
      h("a", { class: "button", href: "#/" }, t.toOwnPages),
    ),
  );
}
