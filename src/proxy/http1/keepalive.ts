// [hot] How long an upstream says that it keeps an unused connection: `Keep-Alive: timeout=5` (RFC 2068 19.7.1.1). A pooled connection must go
// before that, or a request may meet its end.
import { FIELD, type Head } from "./head.ts";

const TIMEOUT = Buffer.from("timeout=");
/** Between the upstream's end and ours; of short times half. */
const MARGIN_MS = 1_000;
const MAX_SECONDS = 3_600;
const [ZERO, NINE] = [0x30, 0x39];

/** The time that an unused connection may be kept by what its answer says, milliseconds; -1: it says nothing. */
export function keptForMs(head: Head): number {
  if (!head.hasSpecial) return -1;
  for (let i = 0; i < head.fieldCount; i++) {
    if (head.kinds[i] !== FIELD.KEEP_ALIVE) continue;
    const seconds = secondsIn(head, i);
    if (seconds >= 0) return Math.max(seconds * 1_000 - MARGIN_MS, seconds * 500);
  }
  return -1;
}

function secondsIn({ bytes, base, fields }: Head, index: number): number {
  const end = base + fields[index * 4 + 3]!;
  const start = bytes.indexOf(TIMEOUT, base + fields[index * 4 + 2]!);
  if (start === -1 || start + TIMEOUT.length >= end) return -1;
  let seconds = -1;
  for (let p = start + TIMEOUT.length; p < end; p++) {
    const byte = bytes[p]!;
    if (byte < ZERO || byte > NINE) break;
    seconds = Math.min((seconds === -1 ? 0 : seconds * 10) + byte - ZERO, MAX_SECONDS);
  }
  return seconds;
}
