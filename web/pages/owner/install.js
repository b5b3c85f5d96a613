// The line that brings a machine into the market.

import { h } from "../../vendor/preact.js";
import { Code } from "../../components/code.js";
import { daemon } from "../../runtime/install.js";
import texts from "../../text/owner.js";

export default function Install() {
  const t = texts();
  return h(
    "div",
    null,
    h("h1", null, t.install),
    h("p", { class: "lead" }, t.installNote),
    h(Code, { label: t.install, children: daemon() }),
  );
}
