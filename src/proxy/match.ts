// [hot] Phase "match": request head → route. Virtual host first (exact, then the longest suffix wildcard, the longest prefix wildcard,
// then `*`; a port in Host counts unless the table ignores it), then its routes in order. Bytes are compared in place.
import { assertNever } from "../lib/assert.ts";
import { COLON, isSameBytes, isSameName, LOWER, SLASH } from "./bytes.ts";
import type { Head } from "./head.ts";
import { EMPTY_HOSTS, type HeaderRule, type HostTable, PATH, type Route, type VirtualHost } from "./table.ts";

const ROOT = Buffer.from("/");
const ASTERISK = 0x2a;
const MAX_CACHED_HOST_BYTES = 256;

/** Finds routes for one connection and remembers the last host: clients seldom change it. */
export class Matcher {
  #table: HostTable = EMPTY_HOSTS;
  #host: VirtualHost | null = null;
  #cached: Buffer | null = null;

  /** The route that serves the request, or null. */
  find(table: HostTable, head: Head): Route | null {
    const host = this.#hostOf(table, head);
    if (host === null) return null;
    const routes = host.routes;
    const isRoot = head.pathStart === head.pathEnd || head.bytes[head.base + head.pathStart] === ASTERISK;
    // An absolute target without a path, and the asterisk form, are matched as `/`.
    const bytes = isRoot ? ROOT : head.bytes;
    const start = isRoot ? 0 : head.base + head.pathStart;
    const end = isRoot ? 1 : head.base + head.pathEnd;
    for (let i = 0; i < routes.length; i++) {
      const route = routes[i]!;
      if (isPathMatch(route, bytes, start, end) && areHeadersMatch(route.headers, head)) return route;
    }
    return null;
  }

  #hostOf(table: HostTable, head: Head): VirtualHost | null {
    if (table.any !== null && table.exact.size === 0 && table.suffixes.length + table.prefixes.length === 0)
      return table.any;
    const start = head.base + head.authorityStart;
    const end = head.base + head.authorityEnd;
    if (this.#table === table && this.#cached !== null && isSameBytes(head.bytes, start, end, this.#cached))
      return this.#host;
    const host = findHost(table, hostText(head.bytes, start, end));
    this.#table = table;
    this.#host = host;
    this.#cached = end - start > MAX_CACHED_HOST_BYTES ? null : Buffer.from(head.bytes.subarray(start, end));
    return host;
  }
}

/** The virtual host for a lower-case authority. */
export function findHost(table: HostTable, authority: string): VirtualHost | null {
  const host = table.isPortIgnored ? withoutPort(authority) : authority;
  const exact = table.exact.get(host);
  if (exact !== undefined) return exact;
  for (const { part, host: found } of table.suffixes)
    if (host.length > part.length && host.endsWith(part)) return found;
  for (const { part, host: found } of table.prefixes)
    if (host.length > part.length && host.startsWith(part)) return found;
  return table.any;
}

function hostText(buf: Buffer, start: number, end: number): string {
  return buf.toString("latin1", start, end).toLowerCase();
}

function withoutPort(authority: string): string {
  const colon = authority.lastIndexOf(":");
  const isPort = colon > authority.lastIndexOf("]") && authority.charCodeAt(colon) === COLON;
  return isPort ? authority.slice(0, colon) : authority;
}

function isPathMatch(route: Route, buf: Buffer, start: number, end: number): boolean {
  const path = route.path;
  const isExact = route.pathKind === PATH.EXACT;
  if (end - start < path.length || (isExact && end - start > path.length)) return false;
  const stop = start + path.length;
  if (!(route.isCaseIgnored ? isSameName(buf, start, stop, path) : isSameBytes(buf, start, stop, path)))
    return false;
  if (isExact) return true;
  if (route.pathKind === PATH.PREFIX) return true;
  const next = start + path.length;
  return next === end || buf[next] === SLASH;
}

function areHeadersMatch(rules: readonly HeaderRule[], head: Head): boolean {
  for (let i = 0; i < rules.length; i++) if (!isHeaderMatch(rules[i]!, head)) return false;
  return true;
}

/** A value rule holds when one of the fields of that name matches, an inverted one when none does; as in Envoy, neither without a field. */
function isHeaderMatch(rule: HeaderRule, head: Head): boolean {
  const { test, nameBytes } = rule;
  if (nameBytes[0] === COLON) return isOneMatch(rule, pseudoValue(rule.name, head));
  let at = head.indexOf(nameBytes, 0);
  if (at < 0 || test.kind === "present") return isOneMatch(rule, at < 0 ? undefined : "");
  let isMatch = false;
  for (; at >= 0 && !isMatch; at = head.indexOf(nameBytes, at + 1))
    isMatch = isValueMatch(test, head.valueAt(at));
  return isMatch !== rule.isInverted;
}

function isOneMatch({ test, isInverted, isMissingEmpty }: HeaderRule, found: string | undefined): boolean {
  const value = found === undefined && isMissingEmpty ? "" : found;
  if (test.kind === "present") return ((value !== undefined) === test.isPresent) !== isInverted;
  return value !== undefined && isValueMatch(test, value) !== isInverted;
}

type ValueTest = Exclude<HeaderRule["test"], { readonly kind: "present" }>;

function isValueMatch(test: ValueTest, value: string): boolean {
  if (test.kind === "range") {
    if (!/^[+-]?\d{1,15}$/.test(value)) return false;
    const number = Number(value);
    return number >= test.start && number < test.end;
  }
  const text = test.ignoreCase ? value.toLowerCase() : value;
  switch (test.kind) {
    case "exact":
      return text === test.text;
    case "prefix":
      return text.startsWith(test.text);
    case "suffix":
      return text.endsWith(test.text);
    case "contains":
      return text.includes(test.text);
    default:
      return assertNever(test);
  }
}

function pseudoValue(name: string, head: Head): string | undefined {
  const { bytes, base } = head;
  if (name === ":method") return bytes.toString("latin1", base + head.lineStart, base + head.methodEnd);
  if (name === ":path") return bytes.toString("latin1", base + head.pathStart, base + head.targetEnd);
  if (name === ":authority")
    return bytes.toString("latin1", base + head.authorityStart, base + head.authorityEnd);
  return undefined;
}

/** Lower-case copy of ASCII bytes, for names that are compared with LOWER. */
export function lowerBytes(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, "latin1"), (byte) => LOWER[byte]!);
}
