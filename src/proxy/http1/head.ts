// [hot] The head of a message as positions in its bytes: no strings, no header objects. Filled by the HTTP/1.1 parser (parse.ts);
// any other framing can fill one by writing its fields as lines. Positions are relative to `base` in `bytes`.
import { isSameName } from "../wire/bytes.ts";

/** What a field line means to the proxy; OTHER is passed on untouched. */
export const FIELD = {
  OTHER: 0,
  HOST: 1,
  CONTENT_LENGTH: 2,
  TRANSFER_ENCODING: 3,
  CONNECTION: 4,
  KEEP_ALIVE: 5,
  PROXY_CONNECTION: 6,
  TE: 7,
  UPGRADE: 8,
  X_FORWARDED_FOR: 9,
  X_FORWARDED_PROTO: 10,
  MAX_FORWARDS: 11,
  /** Named in Connection. */
  NOMINATED: 12,
  X_REQUEST_ID: 13,
  /** `x-weir-*` */
  X_WEIR: 14,
  /** Taken out before anything looked at it. */
  DROPPED: 15,
  /** Passed on untouched; whether there is one matters. */
  DATE: 16,
} as const;

export const METHOD = { OTHER: 0, GET: 1, HEAD: 2, POST: 3, OPTIONS: 4, TRACE: 5, CONNECT: 6 } as const;

/** Most field lines in one head, unless more are asked for. */
export const MAX_FIELDS = 100;
/** Most names in the Connection fields of one head. */
export const MAX_NOMINATED = 16;

const KNOWN: readonly (readonly [string, number])[] = [
  ["host", FIELD.HOST],
  ["content-length", FIELD.CONTENT_LENGTH],
  ["transfer-encoding", FIELD.TRANSFER_ENCODING],
  ["connection", FIELD.CONNECTION],
  ["keep-alive", FIELD.KEEP_ALIVE],
  ["proxy-connection", FIELD.PROXY_CONNECTION],
  ["te", FIELD.TE],
  ["upgrade", FIELD.UPGRADE],
  ["x-forwarded-for", FIELD.X_FORWARDED_FOR],
  ["x-forwarded-proto", FIELD.X_FORWARDED_PROTO],
  ["max-forwards", FIELD.MAX_FORWARDS],
  ["x-request-id", FIELD.X_REQUEST_ID],
  ["date", FIELD.DATE],
];
const X_WEIR = Buffer.from("x-weir-");
const METHODS: readonly (readonly [string, number])[] = [
  ["GET", METHOD.GET],
  ["HEAD", METHOD.HEAD],
  ["POST", METHOD.POST],
  ["OPTIONS", METHOD.OPTIONS],
  ["TRACE", METHOD.TRACE],
  ["CONNECT", METHOD.CONNECT],
];

const KNOWN_BY_LENGTH = byLength(KNOWN);
const METHOD_BY_LENGTH = byLength(METHODS);

/** A parsed head. One instance is filled again and again; it is valid until its parser is. */
export class Head {
  bytes: Buffer = Buffer.alloc(0);
  base = 0;
  /** Bytes of the whole head, final empty line included. */
  length = 0;
  /** Begin of the start line (behind an ignored empty line) and of the byte behind it. */
  lineStart = 0;
  lineEnd = 0;
  /** 0 or 1: HTTP/1.x. */
  minor = 1;
  method = 0;
  methodEnd = 0;
  targetStart = 0;
  targetEnd = 0;
  /** Path of the target, without query; `*` for the asterisk form. */
  pathStart = 0;
  pathEnd = 0;
  /** Host and port in force: the target's authority, else Host; empty when neither is there (HTTP/1.0). */
  authorityStart = 0;
  authorityEnd = 0;
  isAbsolute = false;
  /** Path or authority are no longer as they arrived (normalise.ts): request line and Host are written anew. */
  isRespelt = false;
  status = 0;
  /** False when the status line has no space behind the status. */
  hasReason = true;
  fieldCount = 0;
  /** Four positions per field: name begin and end, value begin and end. */
  fields: Int32Array = new Int32Array(4 * MAX_FIELDS);
  kinds: Uint8Array = new Uint8Array(MAX_FIELDS);
  hasDate = false;
  /** True when some field is not OTHER, HOST or DATE: then fields must be looked at one by one. */
  hasSpecial = false;
  /** True when a line is not in the form `name: value` that may be copied as it is. */
  hasOddLine = false;
  /** -1 when there is none. */
  contentLength = -1;
  transferEncodings = 0;
  isChunked = false;
  hasClose = false;
  hasKeepAlive = false;
  hosts = 0;
  hostField = 0;
  maxForwards = -1;
  nominatedCount = 0;
  readonly nominated: Int32Array = new Int32Array(2 * MAX_NOMINATED);

  /** Makes room for more fields. */
  grow(): void {
    const { fields, kinds } = this;
    this.fields = new Int32Array(2 * fields.length);
    this.fields.set(fields);
    this.kinds = new Uint8Array(2 * kinds.length);
    this.kinds.set(kinds);
  }

  /** Makes ready for the next head. */
  reset(): void {
    this.length = 0;
    this.lineStart = 0;
    this.minor = 1;
    this.method = 0;
    this.pathStart = 0;
    this.pathEnd = 0;
    this.authorityStart = 0;
    this.authorityEnd = 0;
    this.isAbsolute = false;
    this.isRespelt = false;
    this.status = 0;
    this.hasReason = true;
    this.fieldCount = 0;
    this.hasDate = false;
    this.hasSpecial = false;
    this.hasOddLine = false;
    this.contentLength = -1;
    this.transferEncodings = 0;
    this.isChunked = false;
    this.hasClose = false;
    this.hasKeepAlive = false;
    this.hosts = 0;
    this.maxForwards = -1;
    this.nominatedCount = 0;
  }

  /** Begin of the line of field `index`, or of the final empty line when there are no more. */
  lineOf(index: number): number {
    return index < this.fieldCount ? this.fields[index * 4]! : this.length - 2;
  }

  /** The first field at or behind `from` that is called `name` (lower case) and is sent on; -1 when there is none. */
  indexOf(name: Uint8Array, from: number): number {
    for (let i = from; i < this.fieldCount; i++) {
      const kind = this.kinds[i]!;
      if (kind === FIELD.DROPPED || kind === FIELD.NOMINATED) continue;
      const start = this.base + this.fields[i * 4]!;
      if (isSameName(this.bytes, start, this.base + this.fields[i * 4 + 1]!, name)) return i;
    }
    return -1;
  }

  /** The value of field `index`. */
  valueAt(index: number): string {
    const start = this.base + this.fields[index * 4 + 2]!;
    return this.bytes.toString("latin1", start, this.base + this.fields[index * 4 + 3]!);
  }
}

/** The FIELD of a name at bytes[start, end). */
export function fieldKind(buf: Uint8Array, start: number, end: number): number {
  const candidates = KNOWN_BY_LENGTH[end - start];
  if (candidates !== undefined) {
    for (let i = 0; i < candidates.length; i++) {
      const candidate = candidates[i]!;
      if (isSameName(buf, start, end, candidate.name)) return candidate.code;
    }
  }
  const isWeir = end - start > X_WEIR.length && buf[start + 1] === 0x2d;
  return isWeir && isSameName(buf, start, start + X_WEIR.length, X_WEIR) ? FIELD.X_WEIR : FIELD.OTHER;
}

/** The METHOD at bytes[start, end). Methods are case-sensitive. */
export function methodCode(buf: Uint8Array, start: number, end: number): number {
  const candidates = METHOD_BY_LENGTH[end - start];
  if (candidates === undefined) return METHOD.OTHER;
  for (let i = 0; i < candidates.length; i++) {
    const { name, code } = candidates[i]!;
    let at = 0;
    while (at < name.length && buf[start + at] === name[at]) at++;
    if (at === name.length) return code;
  }
  return METHOD.OTHER;
}

interface Named {
  readonly name: Uint8Array;
  readonly code: number;
}

function byLength(names: readonly (readonly [string, number])[]): readonly (readonly Named[] | undefined)[] {
  const lists: Named[][] = [];
  for (const [name, code] of names) {
    const list = lists[name.length] ?? [];
    list.push({ name: Buffer.from(name), code });
    lists[name.length] = list;
  }
  return Array.from(lists);
}
