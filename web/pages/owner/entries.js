// Pages of owners, in the order of the menu.

import notifications from "../../text/notifications.js";
import texts from "../../text/owner.js";

/** @type {import("../../runtime/router.js").Entry[]} */
export const ENTRIES = [
  { path: "/", title: () => texts().home, load: () => import("./home.js") },
  { path: "/machines", title: () => texts().machines, load: () => import("./machines.js") },
  { path: "/machines/:id", load: () => import("./machine.js") },
  { path: "/earnings", title: () => texts().earnings, load: () => import("./earnings.js") },
  { path: "/payouts", title: () => texts().payouts, load: () => import("./payouts.js") },
  { path: "/rules", title: () => texts().rules, load: () => import("./rules.js") },
  { path: "/notifications", title: () => notifications().title, load: () => import("../account/notifications.js") },
  { path: "/install", title: () => texts().install, load: () => import("./install.js") },
];
