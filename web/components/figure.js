// Single figures side by side.

import { h } from "../vendor/preact.js";

/** @typedef {import("../vendor/preact.js").ComponentChild} Child */

/** @param {{of: [label: string, value: Child, note?: Child][]}} props */
export function Figures({ of }) {
  return h(
    "dl",
    { class: "figures" },
    of.map(([label, value, note]) =>
      h("div", { key: label }, h("dt", null, label), h("dd", null, value, note && h("small", null, note))),
    ),
  );
}
