// [hot] W3C trace context (traceparent, tracestate). What a client sends is passed on as it is: this proxy reports no spans, so it puts none in
// between. Where a listener asks for it, a request without a valid traceparent begins a trace: then a tracestate without one means nothing
// and goes. Source: W3C Trace Context level 1, 2.2, 4.2.

import { FIELD, type Head } from "../http1/head.ts";
import { HEX } from "../wire/bytes.ts";
import type { RandomIds } from "./requestid.ts";

const text = (value: string): Buffer => Buffer.from(value, "latin1");
const TRACEPARENT = text("traceparent");
const TRACESTATE = text("tracestate");
const PREFIX = "traceparent: 00-";
/** Positions in the line that is made. */
const ID_START = PREFIX.length;
const ID_END = ID_START + 32;
const SPAN_START = ID_END + 1;
const FLAG_AT = SPAN_START + 16 + 2;
/** Positions in a traceparent's value, and its length in version 00. */
const AT = { VERSION: 0, ID: 3, SPAN: 36, FLAGS: 53 } as const;
const VALUE_BYTES = 55;
const DASH = 45;
const ZERO = 48;
const NO_BYTES = Buffer.alloc(0);

/** The trace context of one connection's requests. */
export class TraceContext {
  /** `traceparent: …\r\n` made for the request at hand; empty: it has its own, or none is wanted. */
  line: Buffer = NO_BYTES;
  readonly #made: Buffer = text(`${PREFIX}${"0".repeat(32)}-${"0".repeat(16)}-00\r\n`);

  /** Begins a trace where the request has none. `sampled` of 2^32 traces are marked as sampled. */
  admit(head: Head, ids: RandomIds, sampled: number): void {
    this.line = NO_BYTES;
    const at = head.indexOf(TRACEPARENT, 0);
    if (at >= 0 && head.indexOf(TRACEPARENT, at + 1) < 0 && isValid(head, at)) return;
    drop(head, TRACEPARENT);
    drop(head, TRACESTATE);
    const line = this.#made;
    ids.writeHex(line, ID_START, 16);
    ids.writeHex(line, SPAN_START, 8);
    line[FLAG_AT] = ids.uint32() < sampled ? ZERO + 1 : ZERO;
    this.line = line;
  }

  forget(): void {
    this.line = NO_BYTES;
  }
}

/** Calls `take` with the place of the trace id: in the line that was made, else in the request's field. False: there is none. */
export function findTraceId(
  line: Buffer,
  head: Head,
  take: (bytes: Buffer, start: number, end: number) => boolean,
): boolean {
  if (line.length > 0) return take(line, ID_START, ID_END);
  const at = head.indexOf(TRACEPARENT, 0);
  if (at < 0 || !isValid(head, at)) return false;
  const start = head.base + head.fields[at * 4 + 2]! + AT.ID;
  return take(head.bytes, start, start + 32);
}

function isValid(head: Head, index: number): boolean {
  const { bytes } = head;
  const start = head.base + head.fields[index * 4 + 2]!;
  const length = head.base + head.fields[index * 4 + 3]! - start;
  if (length < VALUE_BYTES || !isHex(bytes, start, 2) || !isHex(bytes, start + AT.FLAGS, 2)) return false;
  if (bytes[start + AT.ID - 1] !== DASH || bytes[start + AT.SPAN - 1] !== DASH) return false;
  if (bytes[start + AT.FLAGS - 1] !== DASH) return false;
  if (!isId(bytes, start + AT.ID, 32) || !isId(bytes, start + AT.SPAN, 16)) return false;
  const isFirstVersion = bytes[start] === ZERO && bytes[start + 1] === ZERO;
  if (isFirstVersion) return length === VALUE_BYTES;
  // Later versions may say more; ff is none.
  const isNone = bytes[start] === 0x66 && bytes[start + 1] === 0x66;
  return !isNone && (length === VALUE_BYTES || bytes[start + VALUE_BYTES] === DASH);
}

/** Lower-case hex digits, as the field must have. */
function isHex(bytes: Buffer, start: number, count: number): boolean {
  for (let at = start; at < start + count; at++) {
    const byte = bytes[at]!;
    if (HEX[byte] === 255 || (byte >= 0x41 && byte <= 0x46)) return false;
  }
  return true;
}

function isId(bytes: Buffer, start: number, count: number): boolean {
  if (!isHex(bytes, start, count)) return false;
  for (let at = start; at < start + count; at++) if (bytes[at] !== ZERO) return true;
  return false;
}

function drop(head: Head, name: Uint8Array): void {
  for (let at = head.indexOf(name, 0); at >= 0; at = head.indexOf(name, at + 1)) {
    head.kinds[at] = FIELD.DROPPED;
    head.hasSpecial = true;
  }
}
