// What scripts add to the documentation's page, which is whole without them: a search, and calls against this market.

import { folded } from "./runtime/search.js";

/** @typedef {{search: string, found: string, try: string, key: string, body: string, query: string, send: string, key_hint: string, no_answer: string}} Words */

const page = /** @type {HTMLElement} */ (document.querySelector("main"));
/** @type {Words} */
const words = JSON.parse(page.dataset["words"] ?? "{}");
// Where the console keeps it, in this tab alone.
const SESSION = "dc1.session";
const MOST_SHOWN = 20000;

/** @param {string} tag @param {Record<string, unknown>} [properties] @param {(Node | string)[]} inside @returns {any} the element of that tag */
function make(tag, properties = {}, ...inside) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...inside);
  return made;
}

/** @param {string} text @param {HTMLElement} control */
const labelled = (text, control) => make("label", { className: "field" }, text, control);

function keyOfTab() {
  try {
    return String(JSON.parse(sessionStorage.getItem(SESSION) ?? "{}").key ?? "");
  } catch {
    return "";
  }
}

/** Show what has every word of the search in it, and hide the rest. */
function addSearch() {
  const articles = [...page.querySelectorAll("article")].map((article) => ({
    article,
    text: folded(article.textContent ?? ""),
  }));
  const told = make("p", { className: "found" });
  told.setAttribute("role", "status");
  const field = make("input", { type: "search", autocomplete: "off" });
  field.addEventListener("input", () => {
    const wanted = folded(field.value).split(/\s+/).filter(Boolean);
    let count = 0;
    for (const { article, text } of articles) {
      article.hidden = !wanted.every((/** @type {string} */ word) => text.includes(word));
      count += article.hidden ? 0 : 1;
    }
    // What is no route, such as the tables of contents, would stand between those that were found.
    page.classList.toggle("searching", wanted.length > 0);
    told.textContent = wanted.length ? words.found.replace("#", String(count)) : "";
  });
  document.querySelector("header")?.after(make("search", {}, labelled(words.search, field), told));
}

/** @param {HTMLElement} article */
function addTry(article) {
  const { verb = "GET", path = "/" } = article.dataset;
  const button = make("button", { type: "button", className: "try" }, words.try);
  button.addEventListener("click", () => button.replaceWith(form(article, verb, path)), { once: true });
  article.querySelector(".samples")?.append(button);
}

/** @param {HTMLElement} article @param {string} verb @param {string} path */
function form(article, verb, path) {
  const names = [...path.matchAll(/\{(\w+)\}/g)].map((found) => found[1] ?? "");
  const places = names.map((name) => make("input", { name, required: true, autocomplete: "off" }));
  const key = make("input", { type: "password", autocomplete: "off", value: keyOfTab(), placeholder: words.key_hint });
  const query = make("input", { autocomplete: "off", placeholder: "limit=10" });
  const body = make("textarea", { rows: 8, spellcheck: false, value: article.dataset["body"] ?? "" });
  const answer = make("pre", { tabIndex: 0 });
  answer.dir = "ltr";
  answer.setAttribute("role", "status");
  const takesBody = article.dataset["body"] !== undefined;
  const made = make(
    "form",
    { className: "tried" },
    ...places.map((place) => labelled(place.name, place)),
    ...(article.dataset["key"] === undefined ? [] : [labelled(words.key, key)]),
    takesBody ? labelled(words.body, body) : labelled(words.query, query),
    make("button", { type: "submit" }, words.send),
    answer,
  );
  made.addEventListener("submit", async (/** @type {Event} */ event) => {
    event.preventDefault();
    const filled = names.reduce(
      (text, name, at) => text.replace(`{${name}}`, encodeURIComponent(places[at]?.value ?? "")),
      path,
    );
    const asked = takesBody || !query.value ? filled : `${filled}?${query.value}`;
    answer.textContent = "…";
    answer.textContent = await send(verb, asked, key.value, takesBody ? body.value : null);
  });
  return made;
}

/** @param {string} method @param {string} path @param {string} key @param {string | null} body */
async function send(method, path, key, body) {
  /** @type {Record<string, string>} */
  const headers = { accept: "application/json" };
  if (key) headers["authorization"] = `Bearer ${key}`;
  if (body !== null) headers["content-type"] = "application/json";
  try {
    const answer = await fetch(path, { method, headers, body, credentials: "omit" });
    const text = await answer.text();
    return `${answer.status} ${answer.statusText}\n\n${pretty(text)}`.slice(0, MOST_SHOWN);
  } catch {
    return words.no_answer;
  }
}

/** @param {string} text */
function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

addSearch();
for (const article of page.querySelectorAll("article[data-path]")) addTry(/** @type {HTMLElement} */ (article));
