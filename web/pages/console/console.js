// The console: who signs in sees the pages of their role.

import { h } from "../../vendor/preact.js";
import { useEffect, useState } from "../../vendor/hooks.js";
import { Layout } from "../../components/layout.js";
import { Refused } from "../../components/notice.js";
import { isEnding } from "../../runtime/idle.js";
import { moduleOf } from "../../runtime/load.js";
import { go } from "../../runtime/router.js";
import { end, may, session } from "../../runtime/session.js";
import { SITE } from "../../runtime/site.js";
import common from "../../text/common.js";
import texts from "../../text/console.js";
import words from "../../text/words.js";

/** @typedef {import("../../runtime/router.js").Entry} Entry */
/** @typedef {import("../../runtime/session.js").Role} Role */

/** Nobody loads the pages of another role. @type {Record<Role, () => Promise<{ENTRIES: Entry[]}>>} */
const OF_ROLE = {
  admin: () => import("../admin/entries.js"),
  renter: () => import("../renter/entries.js"),
  owner: () => import("../owner/entries.js"),
};

/** @type {Entry[]} */
const OUTSIDE = [
  { path: "/", load: () => import("./sign_in.js") },
  { path: "/register", load: () => import("./register.js") },
  { path: "/.*", load: () => import("./sign_in.js") },
];

/** @type {Entry} */
const SIGNED_IN = { path: "/register", load: () => import("./signed_in.js") };

export function Console() {
  const t = texts();
  const who = session.value;
  const [inside, setInside] = useState(/** @type {{role?: Role, entries?: Entry[], error?: unknown}} */ ({}));
  useEffect(() => {
    let isLeft = false;
    if (who) {
      const { role } = who;
      moduleOf(OF_ROLE[role]).then(
        (module) => isLeft || setInside({ role, entries: module.ENTRIES }),
        (error) => isLeft || setInside({ role, error }),
      );
    }
    return () => {
      isLeft = true;
    };
  }, [who?.role]);
  if (!who) return h(Layout, { entries: OUTSIDE, home: SITE.home, name: "DC1" });
  const leave = () => {
    end();
    // The next who signs in may be of another role, which has no such page.
    go("/");
  };
  const out = h("button", { type: "button", onClick: leave }, t.signOut);
  if (inside.role !== who.role) return h("p", { class: "loading", role: "status" }, common().loading);
  if (!inside.entries) return h(Refused, { error: inside.error, retry: () => location.reload() });
  const name = `DC1 · ${who.operator ? words().operatorRoles[who.operator] : t.roles[who.role]}`;
  const entries = [...inside.entries.filter(({ needs }) => !needs || may(needs)), SIGNED_IN];
  return [
    h(Layout, { key: "pages", entries, home: "#/", name, aside: out }),
    // Any key or move of the pointer is an answer; the button is for who looks for one.
    isEnding.value &&
      h(
        "div",
        { key: "ending", class: "toast ending", role: "alert" },
        h("span", null, t.ending),
        h("button", { type: "button", class: "main" }, t.stay),
      ),
  ];
}
