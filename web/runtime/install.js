// The line that installs and starts a daemon for this market.

import { SITE } from "./site.js";

/** How a daemon comes to this market. */
export function daemon() {
  return `(umask 077; cat > provider-key)   # the key that was shown
curl -fsSL ${SITE.base.replace(/\/$/, "")}/install.sh | sh -s -- --key-file provider-key`;
}
