// The pages that anybody may read.

import { h } from "../../vendor/preact.js";
import { Layout } from "../../components/layout.js";
import { SITE } from "../../runtime/site.js";
import texts from "../../text/public.js";

/** @type {import("../../runtime/router.js").Entry[]} */
const ENTRIES = [
  { path: "/", title: () => texts().offers, load: () => import("./offers.js") },
  { path: "/market", title: () => texts().market, load: () => import("./market.js") },
  { path: "/start", title: () => texts().start, load: () => import("./start.js") },
];

export function Public() {
  const aside = h("a", { class: "button", href: SITE.console }, texts().signIn);
  return h(Layout, { entries: ENTRIES, home: "#/", name: "DC1", aside });
}
