// Whether a text is an IP address. Of node:net only the parser is used.
import { isIP } from "node:net";

/** True for an IPv4 or IPv6 address, without port, brackets or prefix length. */
export function isIpAddress(text: string): boolean {
  return isIP(text) !== 0;
}
