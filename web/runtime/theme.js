// Light or dark: the system's, until the reader chooses.

import { effect, signal } from "../vendor/signals.js";
import { machine } from "./storage.js";

/** @typedef {"light" | "dark"} Theme */

const KEPT = "dc1.theme";
const kept = machine.getItem(KEPT);
const system = matchMedia("(prefers-color-scheme: dark)");

/** @type {import("../vendor/signals.js").Signal<Theme>} */
export const theme = signal(kept === "light" || kept === "dark" ? kept : system.matches ? "dark" : "light");

effect(() => {
  document.documentElement.dataset["theme"] = theme.value;
});

system.addEventListener("change", ({ matches }) => {
  if (!machine.getItem(KEPT)) theme.value = matches ? "dark" : "light";
});

/** Show the other one, here and next time. */
export function turn() {
  const next = theme.value === "dark" ? "light" : "dark";
  machine.setItem(KEPT, next);
  theme.value = next;
}
