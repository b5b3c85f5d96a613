// Pages of admins, in the order of the menu.

import notifications from "../../text/notifications.js";
import texts from "../../text/admin.js";

/** @type {import("../../runtime/router.js").Entry[]} */
export const ENTRIES = [
  { path: "/", title: () => texts().home, load: () => import("./home.js") },
  { path: "/approvals", title: () => texts().approvals, load: () => import("./approvals.js") },
  { path: "/machines", title: () => texts().machines, load: () => import("./machines.js") },
  { path: "/machines/:id", load: () => import("./machine.js") },
  { path: "/jobs", title: () => texts().jobs, load: () => import("./jobs.js") },
  { path: "/jobs/:id", load: () => import("../renter/job.js") },
  { path: "/renters", title: () => texts().renters, load: () => import("./renters.js") },
  { path: "/renters/:id", load: () => import("./renter.js") },
  { path: "/money", title: () => texts().money, load: () => import("./money.js") },
  { path: "/prices", title: () => texts().prices, load: () => import("./prices.js") },
  { path: "/alerts", title: () => texts().alerts, load: () => import("./alerts.js") },
  { path: "/notifications", title: () => notifications().title, load: () => import("../account/notifications.js") },
  {
    path: "/operators",
    title: () => texts().operators,
    needs: "GET /admin/operators",
    load: () => import("./operators.js"),
  },
  { path: "/audit", title: () => texts().audit, load: () => import("./audit.js") },
];
