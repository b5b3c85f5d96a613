// Code that can be copied.

import { h } from "../vendor/preact.js";
import { useState } from "../vendor/hooks.js";
import texts from "../text/common.js";

/** @param {{label: string, children: string}} props */
export function Code({ label, children }) {
  const [isCopied, setCopied] = useState(false);
  const copy = () =>
    navigator.clipboard.writeText(children).then(
      () => setCopied(true),
      () => {},
    );
  return h(
    "div",
    { class: "code", role: "group", "aria-label": label },
    h("pre", { dir: "ltr", tabIndex: 0, "aria-label": label }, h("code", null, children)),
    // Browsers have one for encrypted pages only.
    navigator.clipboard && h("button", { type: "button", onClick: copy }, isCopied ? texts().copied : texts().copy),
  );
}
