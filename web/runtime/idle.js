// A tab that nobody uses is signed out: who comes to it later need not be who left it.

import { effect, signal } from "../vendor/signals.js";
import { end, session } from "./session.js";
import { tab } from "./storage.js";

const MOST_MS = 30 * 60_000;
const WARNING_MS = 60_000;
const LOOK_MS = 1000;
const USES = ["pointerdown", "pointermove", "wheel", "keydown"];
// Of the tab, as the session is: a browser that brings back its tabs the next day brings both.
const KEPT = "dc1.used";

/** Whether the session is about to end. */
export const isEnding = signal(false);

let usedAtMs = 0;

const isOver = () => Date.now() - usedAtMs >= MOST_MS;

function use() {
  // Who wakes a machine that slept is heard before its timer is.
  if (isOver()) return end("idle");
  usedAtMs = Date.now();
  isEnding.value = false;
}

/** By the clock and not by counting: a machine that sleeps counts nothing. */
function look() {
  if (isOver()) return end("idle");
  tab.setItem(KEPT, String(usedAtMs));
  isEnding.value = Date.now() - usedAtMs >= MOST_MS - WARNING_MS;
}

// For as long as somebody is signed in.
effect(() => {
  isEnding.value = false;
  if (!session.value) return tab.removeItem(KEPT);
  usedAtMs = Number(tab.getItem(KEPT)) || Date.now();
  look();
  const timer = setInterval(look, LOOK_MS);
  for (const name of USES) addEventListener(name, use, { capture: true, passive: true });
  return () => {
    clearInterval(timer);
    for (const name of USES) removeEventListener(name, use, { capture: true });
  };
});
