// The line that starts a daemon for this market.

import { SITE } from "./site.js";

/** How the daemon finds this market. */
export function daemon() {
  const { protocol, hostname, port } = new URL(SITE.base);
  const isEncrypted = protocol === "https:";
  const place = `${hostname}:${port || (isEncrypted ? 443 : 80)}`;
  return `(umask 077; cat > provider-key)   # the key that was shown
dc1 daemon --key-file provider-key --server ${place}${isEncrypted ? " --tls" : ""}`;
}
