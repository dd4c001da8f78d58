// The one spelling of a URI's path, as text, for paths in configuration: the proxy respells requests' paths the same way.
// Source: RFC 3986 2.3, 3.3, 6.2.2.

const UNRESERVED = /^[A-Za-z0-9\-._~]$/;
const PLAIN = /[A-Za-z0-9\-._~!$&'()*+,;=:@/]/;

/**
 * The path with unreserved characters bare, other escapes with upper-case digits, and what may not stand in a path escaped. Undefined when an
 * escape is malformed.
 */
export function normalEscapes(path: string): string | undefined {
  const parts = path.match(/%[0-9A-Fa-f]{2}|[\s\S]/gu) ?? [];
  const spelt: string[] = [];
  for (const part of parts) {
    if (part === "%") return undefined;
    if (part.startsWith("%")) spelt.push(escaped(part));
    else spelt.push(PLAIN.test(part) ? part : encodeURIComponent(part.toWellFormed()));
  }
  return spelt.join("");
}

function escaped(hex: string): string {
  const char = String.fromCharCode(Number.parseInt(hex.slice(1), 16));
  return UNRESERVED.test(char) ? char : hex.toUpperCase();
}
