// Pages of owners, in the order of the menu.

import texts from "../../text/owner.js";

/** @type {import("../../runtime/router.js").Entry[]} */
export const ENTRIES = [
  { path: "/", title: () => texts().home, load: () => import("./home.js") },
  { path: "/machines", title: () => texts().machines, load: () => import("./machines.js") },
  { path: "/machines/:id", load: () => import("./machine.js") },
  { path: "/earnings", title: () => texts().earnings, load: () => import("./earnings.js") },
  { path: "/payouts", title: () => texts().payouts, load: () => import("./payouts.js") },
  { path: "/rules", title: () => texts().rules, load: () => import("./rules.js") },
  { path: "/install", title: () => texts().install, load: () => import("./install.js") },
];
