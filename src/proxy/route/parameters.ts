// [hot] Path parameters: what stands behind a `;` in a segment of a path (`/cart;v=2/items`), which servlet containers and their like cut off
// before they look a path up. Where a table ignores them, rules see each segment without, so that `/admin;x` and `/;x/admin` do not pass
// a rule on `/admin`; what is forwarded keeps them. Source: RFC 3986 3.3.
import { SEMICOLON, SLASH } from "../wire/bytes.ts";

/** Whether the path buf[start, end) has parameters. */
export function hasParameters(buf: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (buf[at] === SEMICOLON) return true;
  return false;
}

/** Writes the path buf[start, end), which begins with a slash, without its parameters; returns the length. `out` has room for all of it. */
export function writePlain(out: Uint8Array, buf: Uint8Array, start: number, end: number): number {
  let length = 0;
  for (let at = start; at < end; ) {
    const stop = endOf(buf, at + 1, end, true);
    const next = endOf(buf, stop, end, false);
    if (!isSkipped(at, stop, next, end)) for (let i = at; i < stop; i++) out[length++] = buf[i]!;
    at = next;
  }
  return length;
}

/** Position in the path buf[start, end) behind what `writePlain` makes its first `length` bytes of; parameters of a segment that ends there are not passed. */
export function behindPlain(buf: Uint8Array, start: number, end: number, length: number): number {
  let left = length;
  for (let at = start; at < end; ) {
    const stop = endOf(buf, at + 1, end, true);
    const next = endOf(buf, stop, end, false);
    if (!isSkipped(at, stop, next, end)) {
      if (left <= stop - at) return at + left;
      left -= stop - at;
    }
    at = next;
  }
  return end;
}

/** A segment of parameters alone is none, but for the slash that it leaves at the end: `/a/;x` is the folder `/a/`. */
function isSkipped(at: number, stop: number, next: number, end: number): boolean {
  return stop === at + 1 && next > stop && next < end;
}

/** Where the segment's text from `at` on ends: before its parameters, or with them. */
function endOf(buf: Uint8Array, at: number, end: number, isPlain: boolean): number {
  let stop = at;
  while (stop < end && buf[stop] !== SLASH && !(isPlain && buf[stop] === SEMICOLON)) stop++;
  return stop;
}
