// What is around every page: the way past it, the name, the links, and the choice of language and light.

import { h } from "../vendor/preact.js";
import { useEffect, useErrorBoundary, useRef, useState } from "../vendor/hooks.js";
import { language, speak } from "../runtime/language.js";
import { moduleOf } from "../runtime/load.js";
import { match, path, query } from "../runtime/router.js";
import { theme, turn } from "../runtime/theme.js";
import texts from "../text/common.js";
import { Dialog } from "./dialog.js";
import { Refused } from "./notice.js";
import { Toasts } from "./toast.js";

/** @typedef {import("../vendor/preact.js").ComponentChild} Child */
/** @typedef {import("../runtime/router.js").Entry} Entry */

// Beside the name and the choices, in the language whose words are longer.
const MOST_LINKS_IN_LINE = 8;

/** @param {{entries: Entry[], home: string, name: string, aside?: Child}} props `aside` stands beside the choices */
export function Layout({ entries, home, name, aside }) {
  const t = texts();
  const here = path.value;
  const links = entries.flatMap(({ path: to, title }) => {
    if (!title) return [];
    const isHere = here === to || (to !== "/" && here.startsWith(`${to}/`));
    return [h("li", { key: to }, h("a", { href: `#${to}`, "aria-current": isHere ? "page" : undefined }, title()))];
  });
  const other = language.value === "en" ? "ar" : "en";
  /** @param {MouseEvent} event */
  const skip = (event) => {
    // The address says which page is shown, and has no room for a place in it.
    event.preventDefault();
    document.querySelector("main")?.focus();
  };
  return h(
    "div",
    { class: "layout" },
    h("a", { class: "skip", href: "#main", onClick: skip }, t.skip),
    h(
      "header",
      { class: links.length > MOST_LINKS_IN_LINE ? "many" : "" },
      h("a", { class: "name", href: home }, name),
      h("nav", { "aria-label": t.pages }, h("ul", null, links)),
      h(
        "div",
        { class: "choices" },
        h("button", { type: "button", class: "plain", lang: other, onClick: () => speak(other) }, t.otherLanguage),
        h(
          "button",
          { type: "button", class: "plain", "aria-label": t.light, onClick: turn },
          theme.value === "dark" ? "☀" : "☾",
        ),
        aside,
      ),
    ),
    h(Shown, { entries }),
    h(Dialog, null),
    h(Toasts, null),
  );
}

const anew = () => location.reload();

/** The page of the address. @param {{entries: Entry[]}} props */
function Shown({ entries }) {
  const found = match(entries, path.value);
  const [page, setPage] = useState(
    /** @type {{entry?: Entry, show?: import("../runtime/router.js").Page, error?: unknown}} */ ({}),
  );
  // An answer that a page does not understand, such as that of a server of another release, costs that page alone.
  const [broken, mend] = useErrorBoundary();
  const main = useRef(/** @type {HTMLElement | null} */ (null));
  const isFirst = useRef(true);
  useEffect(() => {
    let isLeft = false;
    const { entry } = found ?? {};
    if (entry)
      moduleOf(entry.load).then(
        (module) => isLeft || setPage({ entry, show: module.default }),
        (error) => isLeft || setPage({ entry, error }),
      );
    return () => {
      isLeft = true;
    };
  }, [found?.entry]);
  useEffect(() => {
    // Whoever follows a link is told where it led, and goes on from there; at the first page the browser has done that.
    if (!isFirst.current) main.current?.focus();
    isFirst.current = false;
    scrollTo(0, 0);
    mend();
    // The menu is wider than a phone, also than one that was turned.
    const show = () =>
      document.querySelector("nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
    show();
    addEventListener("resize", show);
    return () => removeEventListener("resize", show);
  }, [path.value]);
  const Page = page.entry === found?.entry ? page.show : undefined;
  useEffect(() => {
    document.title = [main.current?.querySelector("h1")?.textContent, "DC1"].filter(Boolean).join(" · ");
  });
  let shown = /** @type {Child} */ (h("p", { class: "loading", role: "status" }, texts().loading));
  const missing = page.entry === found?.entry ? page.error : undefined;
  if (!found) shown = h("h1", null, texts().noSuchPage);
  else if (broken || missing) {
    // Browsers keep that a module did not come, until the page is loaded anew.
    const retry = broken ? mend : anew;
    const refused = h(Refused, { key: "error", error: broken || missing, retry });
    shown = [h("h1", { key: "title" }, texts().broken), refused];
  } else if (Page) shown = h(Page, { key: path.value, params: found.params, query: query.value });
  return h("main", { id: "main", ref: main, tabIndex: -1 }, shown);
}
