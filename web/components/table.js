// A table that stays smooth with ten thousand rows: only those in sight are in the page.

import { h } from "../vendor/preact.js";
import { useMemo, useRef, useState } from "../vendor/hooks.js";
import texts from "../text/common.js";

/** @typedef {import("../vendor/preact.js").ComponentChild} Child */
/**
 * @template T
 * @typedef {object} Column
 * @property {string} key
 * @property {string} title
 * @property {(row: T) => Child} cell
 * @property {(row: T) => string | number} [sort] what rows are ordered by, where they can be
 * @property {boolean} [isNumber] set at the end of the column
 * @property {boolean} [isExtra] left out where there is little room
 * @property {number} [width] in tenths of an em; all that is left otherwise
 */

// One height for all: how far down a row stands is then known without making those above it.
const ROW_PIXELS = 44;
// Laying out a row takes the browser longer than all else that is done for it, so few are there that nobody sees.
const SPARE_ROWS = 6;
// As many as have room in a table of style.css; a larger one tells its height when it is scrolled.
const FIRST_ROWS = 14;

/** @param {string | number} one @param {string | number} other */
function compare(one, other) {
  return typeof one === "number" && typeof other === "number" ? one - other : String(one).localeCompare(String(other));
}

/**
 * @template T
 * @typedef {object} TableProps
 * @property {Column<T>[]} columns
 * @property {T[]} rows
 * @property {string} caption
 * @property {(row: T) => string | number} keyOf
 * @property {Child} [empty] what is said where there are none
 * @property {(row: T) => string} [href] makes the first column a link to the row's own page
 */

/**
 * Show rows; a function and no component, as the types of rows do not pass through `h`.
 *
 * @template T
 * @param {TableProps<T>} props
 */
export const table = (props) => h(Table, /** @type {TableProps<any>} */ (props));

/** @param {TableProps<any>} props */
function Table({ columns, rows, caption, keyOf, empty, href }) {
  const [order, setOrder] = useState({ key: "", isDown: false });
  const [sight, setSight] = useState({ top: 0, height: ROW_PIXELS * FIRST_ROWS });
  const pending = useRef(0);
  const sorted = useMemo(() => {
    const by = columns.find((column) => column.key === order.key)?.sort;
    if (!by) return rows;
    // Looked up once a row and not once a comparison.
    const keyed = rows.map((row) => ({ row, key: by(row) })).sort((one, other) => compare(one.key, other.key));
    return (order.isDown ? keyed.reverse() : keyed).map(({ row }) => row);
  }, [rows, order.key, order.isDown]);

  /** @param {Event & {currentTarget: HTMLElement}} event */
  const look = ({ currentTarget }) => {
    const { scrollTop, clientHeight } = currentTarget;
    cancelAnimationFrame(pending.current);
    pending.current = requestAnimationFrame(() => setSight({ top: scrollTop, height: clientHeight }));
  };
  const first = Math.max(0, Math.min(Math.floor(sight.top / ROW_PIXELS) - SPARE_ROWS, rows.length - 1));
  const shown = sorted.slice(first, first + Math.ceil(sight.height / ROW_PIXELS) + 2 * SPARE_ROWS);
  if (rows.length === 0) return h("p", { class: "empty" }, empty ?? texts().nothing);
  return h(
    "div",
    { class: "table", role: "region", "aria-label": caption, tabIndex: 0, onScroll: look },
    h(
      "table",
      { "aria-rowcount": rows.length + 1 },
      h("caption", { class: "unseen" }, caption),
      h(
        "thead",
        null,
        h(
          "tr",
          { "aria-rowindex": 1 },
          columns.map((column) => head(column, order, setOrder)),
        ),
      ),
      h(
        "tbody",
        null,
        gap(first, columns.length),
        shown.map((row, at) => line(row, first + at, columns, keyOf, href)),
        gap(rows.length - first - shown.length, columns.length),
      ),
    ),
  );
}

/** @param {number} count @param {number} width */
function gap(count, width) {
  if (count <= 0) return null;
  const style = { height: `${count * ROW_PIXELS}px` };
  return h("tr", { class: "gap", "aria-hidden": "true" }, h("td", { colSpan: width, style }));
}

/** @param {Column<any>} column */
const kind = (column) => [column.isNumber && "number", column.isExtra && "extra"].filter(Boolean).join(" ");

/**
 * @param {Column<any>} column
 * @param {{key: string, isDown: boolean}} order
 * @param {(order: {key: string, isDown: boolean}) => void} setOrder
 */
function head(column, order, setOrder) {
  const { key, title, sort, width } = column;
  const isFirst = order.key === key;
  const arrow = isFirst ? h("span", { "aria-hidden": "true" }, order.isDown ? "▼" : "▲") : null;
  const turn = () => setOrder({ key, isDown: isFirst && !order.isDown });
  const shown = sort ? h("button", { type: "button", class: "plain", onClick: turn }, title, arrow) : title;
  const sorted = isFirst ? (order.isDown ? "descending" : "ascending") : "none";
  const style = width ? { width: `${width / 10}em` } : {};
  return h("th", { key, scope: "col", class: kind(column), style, ...(sort ? { "aria-sort": sorted } : {}) }, shown);
}

/**
 * @template T
 * @param {T} row
 * @param {number} at
 * @param {Column<T>[]} columns
 * @param {(row: T) => string | number} keyOf
 * @param {((row: T) => string) | undefined} href
 */
function line(row, at, columns, keyOf, href) {
  const cells = columns.map((column, place) => {
    const shown = column.cell(row);
    const told = place === 0 && href ? h("a", { href: href(row) }, shown) : shown;
    return place === 0
      ? h("th", { key: column.key, scope: "row", class: kind(column) }, told)
      : h("td", { key: column.key, class: kind(column) }, told);
  });
  return h("tr", { key: keyOf(row), "aria-rowindex": at + 2 }, cells);
}
