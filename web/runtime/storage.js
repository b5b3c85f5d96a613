// What the browser keeps for the page, and the tab alone where it keeps nothing: who forbids pages to store things can still read them.

/** @typedef {Pick<Storage, "getItem" | "setItem" | "removeItem">} Kept */

/** @returns {Kept} */
function ofTab() {
  /** @type {Map<string, string>} */
  const held = new Map();
  return {
    getItem: (name) => held.get(name) ?? null,
    setItem: (name, value) => void held.set(name, value),
    removeItem: (name) => void held.delete(name),
  };
}

/** @param {() => Storage} of @returns {Kept} */
function kept(of) {
  try {
    // Where it is forbidden, naming it is an error already.
    const storage = of();
    storage.getItem("");
    return storage;
  } catch {
    return ofTab();
  }
}

/** Of all visits with this browser. */
export const machine = kept(() => localStorage);

/** Of this tab, until it is closed. */
export const tab = kept(() => sessionStorage);
