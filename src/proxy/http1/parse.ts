// [hot] The strict HTTP/1.1 head parser: request line or status line, field lines, trailers. A state machine that stops at any byte and
// goes on at the next call, so that no cut of the input changes what it finds and no byte is looked at twice.
// What is refused, and why: RFC 9112 2.2, 3, 5, 6; the table REFUSAL names each case.
import {
  COLON,
  CR,
  HTAB,
  IS_TARGET,
  IS_TOKEN,
  IS_VALUE,
  isAuthority,
  isSameName,
  LF,
  LOWER,
  parseDecimal,
  QUESTION,
  SLASH,
  SP,
} from "../wire/bytes.ts";
import { ListItems } from "../wire/listitems.ts";
import { FIELD, fieldKind, Head, MAX_FIELDS, MAX_NOMINATED, METHOD, methodCode } from "./head.ts";

/** Why a message is refused: status for a request, and words that tell its sender what to do. A response so refused is a 502. */
export interface Refusal {
  readonly status: number;
  readonly reason: string;
  /** What the access log says of it. */
  readonly flag?: string;
}

const refusal = (status: number, reason: string): Refusal => ({ status, reason, flag: "DPE" });
export const REFUSAL = {
  method: refusal(400, "malformed method"),
  target: refusal(400, "malformed request target"),
  targetLength: refusal(414, "request target too long"),
  version: refusal(400, "malformed protocol version"),
  versionUnknown: refusal(505, "only HTTP/1.0 and HTTP/1.1 are spoken here"),
  lineEnd: refusal(400, "line not ended by CRLF"),
  fieldName: refusal(400, "malformed field name"),
  fieldValue: refusal(400, "forbidden byte in a field value"),
  fold: refusal(400, "folded field line"),
  headLength: refusal(431, "head too large"),
  fieldCount: refusal(431, "too many fields"),
  connectionCount: refusal(400, "too many names in Connection"),
  contentLength: refusal(400, "malformed or differing Content-Length"),
  transferEncoding: refusal(400, "Transfer-Encoding is not exactly chunked"),
  bothLengths: refusal(400, "Content-Length together with Transfer-Encoding"),
  oldChunked: refusal(400, "Transfer-Encoding in HTTP/1.0"),
  host: refusal(400, "malformed, missing or repeated Host"),
  maxForwards: refusal(400, "malformed Max-Forwards"),
  status: refusal(400, "malformed status line"),
  chunk: refusal(400, "malformed chunk"),
  chunkExtension: refusal(400, "chunk extensions too long"),
} as const satisfies Record<string, Refusal>;

/** Bytes of a whole head, start line included, unless a listener says otherwise. */
export const MAX_HEAD_BYTES = 60 * 1024;
/** Bytes of a request target. */
export const MAX_TARGET_BYTES = 16 * 1024;
const MAX_METHOD_BYTES = 32;

export const KIND = { REQUEST: 0, RESPONSE: 1, TRAILERS: 2 } as const;
export const PARSED = { MORE: 0, DONE: 1, REFUSED: 2 } as const;

const S = {
  START: 0,
  START_LF: 1,
  METHOD: 2,
  TARGET: 3,
  VERSION: 4,
  STATUS_VERSION: 5,
  STATUS: 6,
  STATUS_END: 7,
  REASON: 8,
  LINE_LF: 9,
  FIELD: 10,
  NAME: 11,
  NAME_SPACE: 12,
  VALUE_SPACE: 13,
  VALUE: 14,
  VALUE_LF: 15,
  END_LF: 16,
} as const;

const VERSION = Buffer.from("HTTP/1.");
const CHUNKED = Buffer.from("chunked");
const CLOSE = Buffer.from("close");
const KEEP_ALIVE = Buffer.from("keep-alive");
const HTTP_SCHEME = Buffer.from("http://");
const HTTPS_SCHEME = Buffer.from("https://");
/** Of the list at hand: a value is read to its end in one go. */
const items = new ListItems();

/** Parses one head at a time into `head`. */
export class HeadParser {
  readonly head: Head = new Head();
  /** Set when `run` returned REFUSED. */
  refused: Refusal = REFUSAL.method;
  #kind = 0;
  #state = 0;
  /** Bytes consumed so far, relative to the begin of the head. */
  #at = 0;
  /** Begin of the token at hand. */
  #mark = 0;
  #nameEnd = 0;
  #valueStart = 0;
  #maxBytes = MAX_HEAD_BYTES;
  #maxFields = MAX_FIELDS;

  /** Makes ready for the next head of that KIND, of at most so many bytes and fields. */
  reset(kind: number, maxBytes = MAX_HEAD_BYTES, maxFields = MAX_FIELDS): void {
    this.#maxBytes = maxBytes;
    this.#maxFields = maxFields;
    this.#kind = kind;
    this.#state = kind === KIND.TRAILERS ? S.FIELD : kind === KIND.REQUEST ? S.START : S.STATUS_VERSION;
    this.#at = 0;
    this.#mark = 0;
    this.head.reset();
  }

  /** True before the first byte. */
  get isFresh(): boolean {
    return this.#at === 0;
  }

  /**
   * Goes on over bytes[base, end), where `base` is the begin of the head (its bytes so far must all be there).
   * DONE: `head` is complete, checked, and `head.length` bytes long.
   */
  run(buf: Buffer, base: number, end: number): number {
    const head = this.head;
    head.bytes = buf;
    head.base = base;
    const limit = Math.min(end, base + this.#maxBytes);
    let p = base + this.#at;
    let state = this.#state;
    while (p < limit) {
      switch (state) {
        case S.VALUE:
          while (p < limit && IS_VALUE[buf[p]!] === 1) p++;
          if (p === limit) break;
          if (buf[p] !== CR) return this.#refuse(buf[p] === LF ? REFUSAL.lineEnd : REFUSAL.fieldValue);
          if (!this.#field(buf, base, p)) return PARSED.REFUSED;
          p++;
          state = S.VALUE_LF;
          break;
        case S.NAME:
          while (p < limit && IS_TOKEN[buf[p]!] === 1) p++;
          if (p === limit) break;
          this.#nameEnd = p - base;
          if (this.#nameEnd === this.#mark) return this.#refuse(REFUSAL.fieldName);
          if (buf[p] === COLON) {
            p++;
            state = S.VALUE_SPACE;
            break;
          }
          if (this.#kind !== KIND.RESPONSE) return this.#refuse(REFUSAL.fieldName);
          head.hasOddLine = true;
          state = S.NAME_SPACE;
          break;
        case S.VALUE_SPACE:
          while (p < limit && (buf[p] === SP || buf[p] === HTAB)) p++;
          if (p === limit) break;
          this.#valueStart = p - base;
          state = S.VALUE;
          break;
        case S.VALUE_LF:
          if (buf[p] !== LF) return this.#refuse(REFUSAL.lineEnd);
          p++;
          state = S.FIELD;
          break;
        case S.FIELD:
          if (buf[p] === CR) {
            p++;
            state = S.END_LF;
            break;
          }
          if (buf[p] === SP || buf[p] === HTAB) return this.#refuse(REFUSAL.fold);
          if (buf[p] === LF) return this.#refuse(REFUSAL.lineEnd);
          if (head.fieldCount >= this.#maxFields) return this.#refuse(REFUSAL.fieldCount);
          this.#mark = p - base;
          state = S.NAME;
          break;
        case S.END_LF:
          if (buf[p] !== LF) return this.#refuse(REFUSAL.lineEnd);
          head.length = p + 1 - base;
          return this.#finish(buf, base);
        case S.NAME_SPACE:
          while (p < limit && (buf[p] === SP || buf[p] === HTAB)) p++;
          if (p === limit) break;
          if (buf[p] !== COLON) return this.#refuse(REFUSAL.fieldName);
          p++;
          state = S.VALUE_SPACE;
          break;
        default: {
          this.#at = p - base;
          this.#state = state;
          if (!this.#startLine(buf, base, limit)) return PARSED.REFUSED;
          p = base + this.#at;
          state = this.#state;
        }
      }
    }
    this.#at = p - base;
    this.#state = state;
    if (p - base >= this.#maxBytes) return this.#refuse(REFUSAL.headLength);
    return PARSED.MORE;
  }

  #refuse(why: Refusal): number {
    this.refused = why;
    return PARSED.REFUSED;
  }

  #refuseLine(why: Refusal): boolean {
    this.refused = why;
    return false;
  }

  #startLine(buf: Buffer, base: number, limit: number): boolean {
    const isRequest = this.#kind === KIND.REQUEST;
    return isRequest ? this.#requestLine(buf, base, limit) : this.#statusLine(buf, base, limit);
  }

  /** Steps of the request line up to the first field; false when refused. */
  #requestLine(buf: Buffer, base: number, limit: number): boolean {
    const head = this.head;
    let p = base + this.#at;
    while (p < limit && this.#state !== S.FIELD) {
      const byte = buf[p]!;
      switch (this.#state) {
        case S.START:
          // One empty line before a request is let pass (RFC 9112 2.2).
          if (byte === CR && p === base) {
            p++;
            this.#state = S.START_LF;
            break;
          }
          this.#mark = p - base;
          head.lineStart = p - base;
          this.#state = S.METHOD;
          break;
        case S.START_LF:
          if (byte !== LF) return this.#refuseLine(REFUSAL.lineEnd);
          p++;
          this.#state = S.START;
          break;
        case S.METHOD:
          while (p < limit && IS_TOKEN[buf[p]!] === 1) p++;
          if (p - base - this.#mark > MAX_METHOD_BYTES) return this.#refuseLine(REFUSAL.method);
          if (p === limit) break;
          if (buf[p] !== SP || p - base === this.#mark) return this.#refuseLine(REFUSAL.method);
          head.methodEnd = p - base;
          head.method = methodCode(buf, base + this.#mark, p);
          p++;
          head.targetStart = p - base;
          this.#state = S.TARGET;
          break;
        case S.TARGET:
          while (p < limit && IS_TARGET[buf[p]!] === 1) p++;
          if (p - base - head.targetStart > MAX_TARGET_BYTES) return this.#refuseLine(REFUSAL.targetLength);
          if (p === limit) break;
          if (buf[p] !== SP || p - base === head.targetStart) return this.#refuseLine(REFUSAL.target);
          head.targetEnd = p - base;
          p++;
          this.#mark = p - base;
          this.#state = S.VERSION;
          break;
        default:
          if (!this.#lineEnd(byte, p - base)) return false;
          p++;
      }
    }
    this.#at = p - base;
    return true;
  }

  /** Steps of the status line up to the first field; false when refused. */
  #statusLine(buf: Buffer, base: number, limit: number): boolean {
    const head = this.head;
    let p = base + this.#at;
    while (p < limit && this.#state !== S.FIELD) {
      const byte = buf[p]!;
      if (this.#state === S.REASON) {
        while (p < limit && IS_VALUE[buf[p]!] === 1) p++;
        if (p === limit) break;
        if (buf[p] !== CR) return this.#refuseLine(REFUSAL.status);
        this.#state = S.LINE_LF;
      } else if (this.#state === S.STATUS) {
        if (p - base - this.#mark < 3) {
          if (byte < 0x30 || byte > 0x39) return this.#refuseLine(REFUSAL.status);
          head.status = head.status * 10 + byte - 0x30;
        } else {
          if (head.status < 100 || head.status > 599) return this.#refuseLine(REFUSAL.status);
          if (byte !== SP && byte !== CR) return this.#refuseLine(REFUSAL.status);
          head.hasReason = byte === SP;
          this.#state = byte === SP ? S.REASON : S.LINE_LF;
        }
      } else if (!this.#lineEnd(byte, p - base)) return false;
      p++;
    }
    this.#at = p - base;
    return true;
  }

  /** One byte, at position `at`, of a version or of the LF that ends the start line; false when refused. */
  #lineEnd(byte: number, at: number): boolean {
    const head = this.head;
    if (this.#state === S.LINE_LF) {
      if (byte !== LF) return this.#refuseLine(REFUSAL.lineEnd);
      head.lineEnd = at + 1;
      this.#state = S.FIELD;
      return true;
    }
    const index = at - this.#mark;
    if (index < VERSION.length)
      return byte === VERSION[index] || this.#refuseLine(this.#versionRefusal(index, byte));
    if (index === VERSION.length) {
      head.minor = byte - 0x30;
      return head.minor === 0 || head.minor === 1 || this.#refuseLine(this.#versionRefusal(index, byte));
    }
    if (this.#kind === KIND.RESPONSE) {
      this.#mark = at + 1;
      this.#state = S.STATUS;
      return byte === SP || this.#refuseLine(REFUSAL.status);
    }
    this.#state = S.LINE_LF;
    return byte === CR || this.#refuseLine(byte === LF ? REFUSAL.lineEnd : REFUSAL.version);
  }

  #versionRefusal(at: number, byte: number): Refusal {
    if (this.#kind === KIND.RESPONSE) return REFUSAL.status;
    return at >= 5 && byte >= 0x30 && byte <= 0x39 ? REFUSAL.versionUnknown : REFUSAL.version;
  }

  /** Takes in the field line whose value ends before position `p`; false when refused. */
  #field(buf: Buffer, base: number, p: number): boolean {
    const head = this.head;
    const start = base + this.#valueStart;
    let end = p;
    while (end > start && (buf[end - 1] === SP || buf[end - 1] === HTAB)) end--;
    const index = head.fieldCount++;
    if (index === head.kinds.length) head.grow();
    const fields = head.fields;
    fields[index * 4] = this.#mark;
    fields[index * 4 + 1] = this.#nameEnd;
    fields[index * 4 + 2] = start - base;
    fields[index * 4 + 3] = end - base;
    const kind = fieldKind(buf, base + this.#mark, base + this.#nameEnd);
    head.kinds[index] = kind;
    if (kind === FIELD.OTHER) return true;
    if (kind === FIELD.HOST) {
      head.hosts++;
      head.hostField = index;
      // A request's Host is copied with its line; in a trailer it has no business.
      if (this.#kind === KIND.TRAILERS) head.hasSpecial = true;
      return true;
    }
    if (kind === FIELD.DATE) {
      head.hasDate = true;
      return true;
    }
    head.hasSpecial = true;
    return this.#meaning(kind, buf, start, end);
  }

  #meaning(kind: number, buf: Buffer, start: number, end: number): boolean {
    const head = this.head;
    if (kind === FIELD.CONNECTION) return this.#connection(buf, start, end);
    if (this.#kind === KIND.TRAILERS) return true;
    if (kind === FIELD.CONTENT_LENGTH) return this.#contentLength(buf, start, end);
    if (kind === FIELD.TRANSFER_ENCODING) {
      head.transferEncodings++;
      head.isChunked = isSameName(buf, start, end, CHUNKED);
      if (!head.isChunked || head.transferEncodings > 1) return this.#refuseLine(REFUSAL.transferEncoding);
    }
    if (kind === FIELD.MAX_FORWARDS) {
      const value = parseDecimal(buf, start, end);
      head.maxForwards = head.maxForwards === -1 && value >= 0 ? value : -2;
    }
    return true;
  }

  /** Digits only; a list or a repeat is taken when all of it agrees (RFC 9110 8.6). */
  #contentLength(buf: Buffer, start: number, end: number): boolean {
    const head = this.head;
    items.of(buf, start, end);
    while (items.next()) {
      const value = parseDecimal(buf, items.start, items.end);
      if (value === -1 || (head.contentLength !== -1 && head.contentLength !== value))
        return this.#refuseLine(REFUSAL.contentLength);
      head.contentLength = value;
    }
    return true;
  }

  #connection(buf: Buffer, start: number, end: number): boolean {
    const head = this.head;
    items.of(buf, start, end);
    while (items.next()) {
      const { start: first, end: last } = items;
      if (first === last) continue;
      if (isSameName(buf, first, last, CLOSE)) head.hasClose = true;
      else if (isSameName(buf, first, last, KEEP_ALIVE)) head.hasKeepAlive = true;
      else if (head.nominatedCount === MAX_NOMINATED) return this.#refuseLine(REFUSAL.connectionCount);
      else {
        const index = head.nominatedCount++ * 2;
        head.nominated[index] = first - head.base;
        head.nominated[index + 1] = last - head.base;
      }
    }
    return true;
  }

  #finish(buf: Buffer, base: number): number {
    const head = this.head;
    if (head.nominatedCount > 0) dropNominated(head);
    if (this.#kind === KIND.TRAILERS) return PARSED.DONE;
    if (head.transferEncodings > 0) {
      if (head.minor === 0) return this.#refuse(REFUSAL.oldChunked);
      if (head.contentLength !== -1) return this.#refuse(REFUSAL.bothLengths);
    }
    if (this.#kind === KIND.RESPONSE) return PARSED.DONE;
    const why = checkTarget(head, buf, base);
    return why === undefined ? PARSED.DONE : this.#refuse(why);
  }
}

/** Marks the fields that Connection names, but never framing or Host (RFC 9110 7.6.1). */
function dropNominated(head: Head): void {
  const { bytes, base, fields, kinds, nominated } = head;
  for (let i = 0; i < head.fieldCount; i++) {
    const kind = kinds[i]!;
    if (kind >= FIELD.HOST && kind <= FIELD.CONNECTION) continue;
    const start = base + fields[i * 4]!;
    const length = fields[i * 4 + 1]! - fields[i * 4]!;
    for (let n = 0; n < head.nominatedCount; n++) {
      const from = base + nominated[n * 2]!;
      if (nominated[n * 2 + 1]! - nominated[n * 2]! !== length) continue;
      if (!isSameNames(bytes, start, from, length)) continue;
      kinds[i] = FIELD.NOMINATED;
      if (kind === FIELD.DATE) head.hasDate = false;
    }
  }
}

function isSameNames(buf: Buffer, a: number, b: number, length: number): boolean {
  for (let i = 0; i < length; i++) if (LOWER[buf[a + i]!] !== LOWER[buf[b + i]!]) return false;
  return true;
}

/** The four forms of a target (RFC 9112 3.2), and Host (rule: exactly one, none or one in HTTP/1.0). */
function checkTarget(head: Head, buf: Buffer, base: number): Refusal | undefined {
  if (head.hosts > 1 || (head.hosts === 0 && head.minor === 1)) return REFUSAL.host;
  if (head.hosts === 1) {
    head.authorityStart = head.fields[head.hostField * 4 + 2]!;
    head.authorityEnd = head.fields[head.hostField * 4 + 3]!;
    if (!isAuthority(buf, base + head.authorityStart, base + head.authorityEnd)) return REFUSAL.host;
  }
  if (head.maxForwards === -2 && (head.method === METHOD.OPTIONS || head.method === METHOD.TRACE))
    return REFUSAL.maxForwards;
  if (head.method === METHOD.CONNECT) return undefined;
  const start = base + head.targetStart;
  const end = base + head.targetEnd;
  let pathStart = start;
  if (buf[start] === 0x2a && end === start + 1) {
    if (head.method !== METHOD.OPTIONS) return REFUSAL.target;
  } else if (buf[start] !== SLASH) {
    const scheme = schemeLength(buf, start, end);
    if (scheme === 0) return REFUSAL.target;
    pathStart = start + scheme;
    while (pathStart < end && buf[pathStart] !== SLASH && buf[pathStart] !== QUESTION) pathStart++;
    head.isAbsolute = true;
    head.authorityStart = head.targetStart + scheme;
    head.authorityEnd = pathStart - base;
    if (!isAuthority(buf, start + scheme, pathStart)) return REFUSAL.target;
  }
  let pathEnd = pathStart;
  while (pathEnd < end && buf[pathEnd] !== QUESTION) pathEnd++;
  head.pathStart = pathStart - base;
  head.pathEnd = pathEnd - base;
  return undefined;
}

function schemeLength(buf: Buffer, start: number, end: number): number {
  if (end - start > 7 && isSameName(buf, start, start + 7, HTTP_SCHEME)) return 7;
  return end - start > 8 && isSameName(buf, start, start + 8, HTTPS_SCHEME) ? 8 : 0;
}
