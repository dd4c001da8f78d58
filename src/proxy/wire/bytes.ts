// [hot] Byte classes and number parsing of HTTP/1.1 over Buffers: lookup tables, no strings. Sources: RFC 9110 5.5, 5.6.2, RFC 3986 3.2.2.

/** 1 for a tchar (RFC 9110 5.6.2): method and field name bytes. */
export const IS_TOKEN = members(
  "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
);
/** 1 for a byte of a reg-name or port (RFC 3986): unreserved, sub-delims and `%`. */
export const IS_HOST = members(
  "-._~!$&'()*+,;=%0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
);
/** 1 for a byte of a field value: HTAB, SP, visible ASCII and obs-text. CR, LF, NUL, DEL and other controls are none. */
export const IS_VALUE = range((byte) => byte === 9 || (byte >= 0x20 && byte !== 0x7f));
/** 1 for a byte of a request target: visible ASCII but `#`. */
export const IS_TARGET = range((byte) => byte > 0x20 && byte < 0x7f && byte !== 0x23);
/** ASCII lower case of each byte. */
export const LOWER = byteTable((byte) => (byte >= 0x41 && byte <= 0x5a ? byte + 32 : byte));
/** Value of a hex digit, or 255. */
export const HEX = byteTable((byte) => {
  const value = "0123456789abcdef".indexOf(String.fromCharCode(byte).toLowerCase());
  return value === -1 ? 255 : value;
});

export const CR = 13;
export const LF = 10;
export const SP = 32;
export const HTAB = 9;
export const COLON = 58;
export const COMMA = 44;
export const SLASH = 47;
export const SEMICOLON = 59;
export const QUESTION = 63;

/** Largest content length that is believed: every integer below it is exact. */
export const MAX_LENGTH = Number.MAX_SAFE_INTEGER;

/** Tells whether bytes[start, end) spell `name` (lower case) in any case. */
export function isSameName(buf: Uint8Array, start: number, end: number, name: Uint8Array): boolean {
  const length = name.length;
  if (end - start !== length) return false;
  for (let i = 0; i < length; i++) if (LOWER[buf[start + i]!] !== name[i]) return false;
  return true;
}

/** Tells whether bytes[start, end) are exactly `text`. */
export function isSameBytes(buf: Uint8Array, start: number, end: number, text: Uint8Array): boolean {
  const length = text.length;
  if (end - start !== length) return false;
  for (let i = 0; i < length; i++) if (buf[start + i] !== text[i]) return false;
  return true;
}

/** The bytes of a text, ASCII letters in lower case, for what is compared with LOWER. */
export function lowerBytes(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, "utf8"), (byte) => LOWER[byte]!);
}

/** The decimal number spelt by bytes[start, end), or -1 when it is none or above MAX_LENGTH. */
export function parseDecimal(buf: Uint8Array, start: number, end: number): number {
  if (start >= end) return -1;
  let value = 0;
  for (let i = start; i < end; i++) {
    const digit = buf[i]! - 48;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
    if (value > MAX_LENGTH) return -1;
  }
  return value;
}

/** Writes a whole number in decimal digits and returns the position behind it. */
export function writeDecimal(buf: Uint8Array, at: number, value: number): number {
  let digits = 1;
  for (let bound = 10; value >= bound; bound *= 10) digits++;
  let rest = value;
  for (let i = at + digits - 1; i >= at; i--) {
    const next = Math.floor(rest / 10);
    buf[i] = 48 + rest - next * 10;
    rest = next;
  }
  return at + digits;
}

/** Where the colon before the port stands in a valid authority; its end when there is none. */
export function portColon(buf: Uint8Array, start: number, end: number): number {
  let at = end;
  while (at > start && buf[at - 1]! >= 48 && buf[at - 1]! <= 57) at--;
  return at > start && buf[at - 1] === COLON ? at - 1 : end;
}

/** Tells whether bytes[start, end) are a valid `uri-host [":" port]` with a non-empty host (RFC 9110 7.2). */
export function isAuthority(buf: Uint8Array, start: number, end: number): boolean {
  let at = start;
  if (buf[at] === 0x5b && at < end) {
    at = ipLiteralEnd(buf, start, end);
    if (at === -1) return false;
  } else {
    while (at < end && IS_HOST[buf[at]!] === 1) {
      if (buf[at] === 0x25 && !(at + 2 < end && HEX[buf[at + 1]!]! < 16 && HEX[buf[at + 2]!]! < 16))
        return false;
      at++;
    }
    if (at === start) return false;
  }
  if (at === end) return true;
  if (buf[at] !== COLON || end - at > 6) return false;
  for (at++; at < end; at++) if (buf[at]! < 48 || buf[at]! > 57) return false;
  return true;
}

function ipLiteralEnd(buf: Uint8Array, start: number, end: number): number {
  let colons = 0;
  for (let at = start + 1; at < end; at++) {
    const byte = buf[at]!;
    if (byte === 0x5d) return colons >= 2 ? at + 1 : -1;
    if (byte === COLON) colons++;
    else if (HEX[byte] === 255 && byte !== 0x2e) return -1;
  }
  return -1;
}

function members(all: string): Uint8Array {
  return range((byte) => all.includes(String.fromCharCode(byte)));
}

function range(isMember: (byte: number) => boolean): Uint8Array {
  return byteTable((byte) => (isMember(byte) ? 1 : 0));
}

function byteTable(of: (byte: number) => number): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, byte) => of(byte));
}
