// What somebody types, once they pause: a search asks the server and need not do so for every letter.

import { useEffect, useState } from "../../vendor/hooks.js";

const PAUSE_MS = 300;

/** @param {string} text */
export function useSettled(text) {
  const [settled, setSettled] = useState(text);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(text), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [text]);
  return settled;
}
