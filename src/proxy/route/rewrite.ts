// [hot] Phase "rewrite": the request head of a route that changes it. Routes that change nothing never come here (compose.ts).

import type { ClientFacts } from "../admit/forwarded.ts";
import { requestEnd } from "../http1/compose.ts";
import { FIELD, type Head, METHOD } from "../http1/head.ts";
import { SLASH } from "../wire/bytes.ts";
import type { ByteStore } from "../wire/bytestore.ts";
import { writeEdited } from "./edits.ts";
import { dotsOf } from "./normalise.ts";
import { behindPlain } from "./parameters.ts";
import type { FieldEdits, PathRewrite, Rewrite } from "./table.ts";

const text = (value: string): Buffer => Buffer.from(value, "latin1");
const DOT = 0x2e;
const SPACE = text(" ");
const VERSION = text(" HTTP/1.1\r\n");
const HOST = text("host: ");
const UNKNOWN_HOST = text("localhost");
const X_FORWARDED_HOST = text("x-forwarded-host");
const COMMA_SPACE = text(", ");
const FORWARDED_HOST = text("x-forwarded-host: ");
const CRLF = text("\r\n");
const ROOT = text("/");
const ASTERISK = text("*");
const NO_EDITS: FieldEdits = { names: [], keeps: new Uint8Array(0), whenThere: [], whenMissing: [] };
/** What is not copied of the request at hand. */
const drops = new Uint8Array(32);

/** Appends the request head for the upstream, rewritten. */
export function composeRewritten(
  out: ByteStore,
  head: Head,
  client: ClientFacts,
  hasChunkedBody: boolean,
  { path, host, isHostForwarded, edits }: Rewrite,
): void {
  const { bytes, base } = head;
  out.append(bytes, base + head.lineStart, base + head.methodEnd);
  out.text(SPACE);
  if (isAsterisk(head)) out.text(ASTERISK);
  else writePath(out, head, path);
  out.append(bytes, base + head.pathEnd, base + head.targetEnd);
  out.text(VERSION);
  out.text(HOST);
  if (host !== null) out.text(host);
  else if (head.authorityEnd > head.authorityStart)
    out.append(bytes, base + head.authorityStart, base + head.authorityEnd);
  else out.text(UNKNOWN_HOST);
  out.text(CRLF);
  drops.set(client.drops);
  drops[FIELD.HOST] = 1;
  drops[FIELD.MAX_FORWARDS] = head.method === METHOD.OPTIONS || head.method === METHOD.TRACE ? 1 : 0;
  if (host !== null && isHostForwarded) writeForwardedHost(out, head);
  writeEdited(out, head, drops, edits ?? NO_EDITS, client.address);
  requestEnd(out, head, client, hasChunkedBody);
}

/** The host that came, as the last entry of X-Forwarded-Host, which becomes one field. */
function writeForwardedHost(out: ByteStore, head: Head): void {
  const { bytes, base, fields } = head;
  if (head.authorityEnd === head.authorityStart) return;
  out.text(FORWARDED_HOST);
  for (let at = head.indexOf(X_FORWARDED_HOST, 0); at >= 0; at = head.indexOf(X_FORWARDED_HOST, at + 1)) {
    const start = base + fields[at * 4 + 2]!;
    const end = base + fields[at * 4 + 3]!;
    if (end > start) {
      out.append(bytes, start, end);
      out.text(COMMA_SPACE);
    }
    head.kinds[at] = FIELD.DROPPED;
  }
  out.append(bytes, base + head.authorityStart, base + head.authorityEnd);
  out.text(CRLF);
}

/** The path without its query, rewritten. */
export function writePath(out: ByteStore, head: Head, path: PathRewrite | null): void {
  const { bytes, base } = head;
  const isRoot = head.pathStart === head.pathEnd;
  const from = isRoot ? ROOT : bytes;
  const start = isRoot ? 0 : base + head.pathStart;
  const end = isRoot ? 1 : base + head.pathEnd;
  if (path === null) {
    out.append(from, start, end);
    return;
  }
  out.text(path.text);
  if (path.prefixLength < 0) return;
  const rest = path.areParametersIgnored
    ? behindPlain(from, start, end, path.prefixLength)
    : Math.min(start + path.prefixLength, end);
  out.append(from, path.text.at(-1) === SLASH ? behindDots(from, rest, end) : rest, end);
}

/**
 * Position behind the dot segments at `start`. A prefix that is no whole segment leaves them of harmless paths: of `/a..` without `/a`, what is put
 * behind `/b/` would lead out of it.
 */
function behindDots(buf: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && buf[at] === DOT) {
    let stop = at;
    while (stop < end && buf[stop] !== SLASH) stop++;
    if (dotsOf(buf, at, stop) === 0) break;
    at = Math.min(stop + 1, end);
  }
  return at;
}

/** `OPTIONS *`, also as an absolute target without a path. */
function isAsterisk(head: Head): boolean {
  if (head.method !== METHOD.OPTIONS) return false;
  return head.pathStart === head.pathEnd || head.bytes[head.base + head.pathStart] === ASTERISK[0];
}
