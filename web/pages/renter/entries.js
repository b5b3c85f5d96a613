// Pages of renters, in the order of the menu.

import notifications from "../../text/notifications.js";
import texts from "../../text/renter.js";

/** @type {import("../../runtime/router.js").Entry[]} */
export const ENTRIES = [
  { path: "/", title: () => texts().home, load: () => import("./home.js") },
  { path: "/playground", title: () => texts().playground, load: () => import("./playground.js") },
  { path: "/order", title: () => texts().order, load: () => import("./order.js") },
  { path: "/jobs", title: () => texts().jobs, load: () => import("./jobs.js") },
  { path: "/jobs/:id", load: () => import("./job.js") },
  { path: "/wallet", title: () => texts().wallet, load: () => import("./wallet.js") },
  { path: "/keys", title: () => texts().keys, load: () => import("./keys.js") },
  { path: "/webhooks", title: () => texts().webhooks, load: () => import("./webhooks.js") },
  { path: "/notifications", title: () => notifications().title, load: () => import("../account/notifications.js") },
  { path: "/usage", title: () => texts().usage, load: () => import("./usage.js") },
];
