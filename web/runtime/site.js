// Addresses of the market's own pages, below whatever base path a proxy puts before it.

const BASE = new URL("../../../", import.meta.url);

export const SITE = {
  base: BASE.href.replace(/\/$/, ""),
  home: BASE.pathname,
  console: new URL("console", BASE).pathname,
  docs: new URL("docs", BASE).pathname,
};
