// Pages of renters, in the order of the menu.

import texts from "../../text/console.js";

/** @type {import("../../runtime/router.js").Entry[]} */
export const ENTRIES = [{ path: "/", title: () => texts().home, load: () => import("./home.js") }];
