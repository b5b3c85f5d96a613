// Where the browser begins: the public pages at `/`, those of who signs in at `/console`.

import { h, render } from "./vendor/preact.js";
import { Console } from "./pages/console/console.js";
import { Public } from "./pages/public/public.js";

const place = document.getElementById("app");
const isConsole = location.pathname.endsWith("/console");
if (place) {
  place.textContent = "";
  render(h(isConsole ? Console : Public, null), place);
}
