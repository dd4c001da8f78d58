// [hot] Phase "normalise": the one spelling of a request's path and host, before anything is matched. The head is respelt in place: rules, logs
// and the upstream all see the same form, so that no rule on a path can be passed by another spelling of it. Spelt well already, which
// one pass over the path finds, nothing is written. Source: RFC 3986 6.2.2; what goes beyond it is said at the functions.

import type { Head } from "../http1/head.ts";
import { MAX_TARGET_BYTES, type Refusal } from "../http1/parse.ts";
import { HEX, portColon, SEMICOLON, SLASH } from "../wire/bytes.ts";

/** What becomes of `%2F` and `%5C` in a path. */
export const ESCAPED_SLASH = { KEEP: 0, REJECT: 1, UNESCAPE: 2 } as const;
/** Which port of an authority is taken off: the listener's, or any. */
export const PORT_STRIP = { NONE: 0, OWN: 1, ANY: 2 } as const;

/** How requests are respelt. Compiled from a listener. */
export interface Spelling {
  /** Whether escapes, backslashes and dot segments are made one spelling. */
  readonly isPathNormal: boolean;
  readonly isSlashMerged: boolean;
  /** An ESCAPED_SLASH. */
  readonly escapedSlash: number;
  /** A PORT_STRIP. */
  readonly portStrip: number;
  /** Whether the dot at the end of a host is taken off. */
  readonly isDotStripped: boolean;
}

/** As requests arrive. */
export const AS_SPELT: Spelling = {
  isPathNormal: false,
  isSlashMerged: false,
  escapedSlash: ESCAPED_SLASH.KEEP,
  portStrip: PORT_STRIP.NONE,
  isDotStripped: false,
};

const refusal = (reason: string): Refusal => ({ status: 400, reason, flag: "DPE" });
const BAD_ESCAPE = refusal("malformed percent-encoding in the path");
const NUL_ESCAPE = refusal("escaped NUL in the path");
const SLASH_ESCAPE = refusal("escaped slash in the path");

const PERCENT = 0x25;
const BACKSLASH = 0x5c;
const DOT = 0x2e;
const ASTERISK = 0x2a;
/** What a byte of a path asks for: nothing, a look at what follows, or respelling. */
const CLASS = { PLAIN: 0, SLASH: 1, ODD: 2 } as const;
const UNRESERVED = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
const IS_UNRESERVED = Uint8Array.from({ length: 256 }, (_, byte) =>
  UNRESERVED.includes(String.fromCharCode(byte)) ? 1 : 0,
);
const CLASSES = Uint8Array.from({ length: 256 }, (_, byte) => {
  if (byte === SLASH) return CLASS.SLASH;
  return IS_UNRESERVED[byte] === 1 || "!$&'()*+,;=:@".includes(String.fromCharCode(byte))
    ? CLASS.PLAIN
    : CLASS.ODD;
});
const HEX_DIGITS = Buffer.from("0123456789ABCDEF");

/** The path being written: an escape takes three bytes where there was one. */
const out = Buffer.alloc(3 * MAX_TARGET_BYTES);

/** Respells path and authority of a request. Null, or why it is refused. */
export function respell(head: Head, spelling: Spelling, listener: { readonly port: number }): Refusal | null {
  const { isPathNormal, isSlashMerged, escapedSlash } = spelling;
  if (spelling.portStrip !== PORT_STRIP.NONE || spelling.isDotStripped)
    respellAuthority(head, spelling, listener);
  if (!isPathNormal && !isSlashMerged && escapedSlash === ESCAPED_SLASH.KEEP) return null;
  return isPathPlain(head) ? null : respellPath(head, spelling);
}

/** True when nothing in the path has another spelling. */
function isPathPlain({ bytes, base, pathStart, pathEnd }: Head): boolean {
  const end = base + pathEnd;
  for (let at = base + pathStart; at < end; at++) {
    const kind = CLASSES[bytes[at]!]!;
    if (kind === CLASS.PLAIN) continue;
    if (kind === CLASS.ODD) return false;
    if (at + 1 < end && (bytes[at + 1] === SLASH || bytes[at + 1] === DOT)) return false;
  }
  return true;
}

function respellPath(head: Head, spelling: Spelling): Refusal | null {
  const start = head.base + head.pathStart;
  const end = head.base + head.pathEnd;
  if (start === end || head.bytes[start] === ASTERISK) return null;
  const written = writeUnescaped(head.bytes, start, end, spelling);
  if (typeof written !== "number") return written;
  let length = written;
  if (spelling.isPathNormal) length = withoutDots(length);
  if (spelling.isSlashMerged) length = withMergedSlashes(length);
  if (length === end - start && out.compare(head.bytes, start, end, 0, length) === 0) return null;
  if (length > end - start) makeRoom(head, length - (end - start));
  // The query behind it stays where it is.
  head.pathStart = head.pathEnd - length;
  if (!head.isAbsolute) head.targetStart = head.pathStart;
  out.copy(head.bytes, head.base + head.pathStart, 0, length);
  head.isRespelt = true;
  return null;
}

/**
 * Writes the path with every escape in its one spelling and returns its length: unreserved characters bare, others with upper-case digits;
 * what may not stand in a path at all is escaped. A `%` without two hex digits is refused, since what is decoded around it could make it an
 * escape; so is NUL, where many upstreams end the path. A backslash is a slash, as browsers have it.
 */
function writeUnescaped(buf: Buffer, start: number, end: number, spelling: Spelling): number | Refusal {
  const { isPathNormal, escapedSlash } = spelling;
  let length = 0;
  for (let at = start; at < end; at++) {
    const byte = buf[at]!;
    if (byte !== PERCENT) {
      if (!isPathNormal || CLASSES[byte] !== CLASS.ODD) out[length++] = byte;
      else if (byte === BACKSLASH) out[length++] = SLASH;
      else length = writeEscape(byte, length);
      continue;
    }
    const value = at + 2 < end ? escapeValue(buf, at) : -1;
    if (isPathNormal && value <= 0) return value === 0 ? NUL_ESCAPE : BAD_ESCAPE;
    const isSlash = value === SLASH || value === BACKSLASH;
    if (isSlash && escapedSlash === ESCAPED_SLASH.REJECT) return SLASH_ESCAPE;
    if (isSlash && escapedSlash === ESCAPED_SLASH.UNESCAPE) out[length++] = isPathNormal ? SLASH : value;
    else if (isPathNormal) {
      if (IS_UNRESERVED[value] === 1) out[length++] = value;
      else length = writeEscape(value, length);
    } else {
      out[length++] = byte;
      continue;
    }
    at += 2;
  }
  return length;
}

/** The byte that an escape stands for; -1 when it is none. */
function escapeValue(buf: Buffer, at: number): number {
  const high = HEX[buf[at + 1]!]!;
  const low = HEX[buf[at + 2]!]!;
  return high < 16 && low < 16 ? high * 16 + low : -1;
}

function writeEscape(byte: number, at: number): number {
  out[at] = PERCENT;
  out[at + 1] = HEX_DIGITS[byte >>> 4]!;
  out[at + 2] = HEX_DIGITS[byte & 15]!;
  return at + 3;
}

/**
 * Takes `.` and `..` out of the path that is written, also with parameters behind (`..;x`), which some upstreams cut off first. `..` at the top
 * goes nowhere. Returns the length left.
 */
function withoutDots(end: number): number {
  let length = 0;
  for (let at = 0; at < end; ) {
    // `at` is on a slash; a segment follows.
    let stop = at + 1;
    while (stop < end && out[stop] !== SLASH) stop++;
    const dots = dotsOf(out, at + 1, stop);
    if (dots === 0) {
      out.copyWithin(length, at, stop);
      length += stop - at;
    } else {
      if (dots === 2) length = parentOf(length);
      // A dot segment at the end leaves its slash.
      if (stop === end) out[length++] = SLASH;
    }
    at = stop;
  }
  return length;
}

/** 1 or 2 for a dot segment buf[start, end), 0 for others. */
export function dotsOf(buf: Uint8Array, start: number, end: number): number {
  if (start === end || buf[start] !== DOT) return 0;
  const dots = start + 1 < end && buf[start + 1] === DOT ? 2 : 1;
  return start + dots === end || buf[start + dots] === SEMICOLON ? dots : 0;
}

/** The length without the last segment and its slash. */
function parentOf(length: number): number {
  let at = length;
  while (at > 0 && out[at - 1] !== SLASH) at--;
  return Math.max(0, at - 1);
}

function withMergedSlashes(end: number): number {
  let length = 0;
  for (let at = 0; at < end; at++) {
    if (out[at] === SLASH && length > 0 && out[length - 1] === SLASH) continue;
    out[length++] = out[at]!;
  }
  return length;
}

/** Moves the head to a buffer of its own, with room for a longer path before what stands behind it. */
function makeRoom(head: Head, more: number): void {
  const { bytes, base, pathEnd, fields, nominated } = head;
  const moved = Buffer.alloc(head.length + more);
  bytes.copy(moved, 0, base, base + pathEnd);
  bytes.copy(moved, pathEnd + more, base + pathEnd, base + head.length);
  head.bytes = moved;
  head.base = 0;
  // The authority is either in an absolute target, before the path, or in Host.
  if (!head.isAbsolute) {
    head.authorityStart += more;
    head.authorityEnd += more;
  }
  head.pathEnd += more;
  head.targetEnd += more;
  head.lineEnd += more;
  head.length += more;
  for (let i = 0; i < head.fieldCount * 4; i++) fields[i]! += more;
  for (let i = 0; i < head.nominatedCount * 2; i++) nominated[i]! += more;
}

function respellAuthority(head: Head, spelling: Spelling, listener: { readonly port: number }): void {
  const { bytes, base } = head;
  const start = base + head.authorityStart;
  const end = base + head.authorityEnd;
  const colon = portColon(bytes, start, end);
  const isOwn = spelling.portStrip === PORT_STRIP.OWN && portOf(bytes, colon + 1, end) === listener.port;
  const stop = isOwn || spelling.portStrip === PORT_STRIP.ANY ? colon : end;
  const hasDot = spelling.isDotStripped && colon - start > 1 && bytes[colon - 1] === DOT;
  if (stop === end && !hasDot) return;
  // The dot is written over by the host before it.
  if (hasDot) bytes.copyWithin(start + 1, start, colon - 1);
  head.authorityStart += hasDot ? 1 : 0;
  head.authorityEnd = stop - base;
  if (!head.isAbsolute) {
    head.fields[head.hostField * 4 + 2] = head.authorityStart;
    head.fields[head.hostField * 4 + 3] = head.authorityEnd;
  }
  head.isRespelt = true;
}

/** The port spelt by digits; -1 when there are none. */
function portOf(buf: Buffer, start: number, end: number): number {
  if (start >= end) return -1;
  let value = 0;
  for (let at = start; at < end; at++) value = value * 10 + buf[at]! - 0x30;
  return value;
}
