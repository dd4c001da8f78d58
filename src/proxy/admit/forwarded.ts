// [hot] Phase "admit": what a request says about where it comes from, how much of that is believed, and what the upstream is told. A peer is
// trusted when proxies stand in front (`trustedHops`) or when it is said to be one itself (`isEdge` false); from any other, `x-weir-*`
// and request ids are dropped before anything looks at them. One ClientFacts per connection; the lines that do not change from request to
// request are written once.
import { isIP } from "node:net";
import { requestDrops } from "../http1/compose.ts";
import { FIELD, type Head } from "../http1/head.ts";
import type { Refusal } from "../http1/parse.ts";
import type { LogRecord } from "../observe/logrecord.ts";
import { COMMA, HTAB, isSameName, SP } from "../wire/bytes.ts";
import type { ByteStore } from "../wire/bytestore.ts";
import { type RandomIds, REQUEST_ID_BYTES } from "./requestid.ts";
import { TraceContext } from "./trace.ts";

export const UNDERSCORES = { ALLOW: 0, REJECT: 1, DROP: 2 } as const;

/** How much of a request's own account of its client holds, and what is added to it. Compiled from a listener. */
export interface ClientRules {
  /** Proxies in front of this one whose X-Forwarded-For entries are believed. */
  readonly trustedHops: number;
  /** False: the peer is a proxy that has said all there is to say; its fields pass as they are. */
  readonly isEdge: boolean;
  /** Whether the peer's address is appended to X-Forwarded-For; only where `isEdge`. */
  readonly isAppending: boolean;
  /** UNDERSCORES: fields whose name has an underscore. */
  readonly underscores: number;
  /** Names (lower case) of fields that are dropped before anything else looks at them. */
  readonly removed: readonly Uint8Array[];
  /** Of those names: bit n for one of n bytes, 31 for longer ones. */
  readonly removedLengths: number;
  /** Whether a request without id gets one. */
  readonly isIdMade: boolean;
  /** Whether the id of a peer that is not trusted is kept. */
  readonly isIdKept: boolean;
  /** Whether answers carry the id. */
  readonly isIdInAnswer: boolean;
  /** Of 2^32 traces that begin here, how many are marked as sampled; -1: no trace begins here. */
  readonly sampledTraces: number;
}

export const DEFAULT_CLIENT_RULES: ClientRules = {
  trustedHops: 0,
  isEdge: true,
  isAppending: true,
  underscores: UNDERSCORES.ALLOW,
  removed: [],
  removedLengths: 0,
  isIdMade: true,
  isIdKept: false,
  isIdInAnswer: false,
  sampledTraces: -1,
};

/** Refusal of a request by `underscores`. */
export const UNDERSCORE: Refusal = { status: 400, reason: "field name with an underscore", flag: "DPE" };

const text = (value: string): Buffer => Buffer.from(value, "latin1");
const CRLF = text("\r\n");
const COMMA_SPACE = text(", ");
const FORWARDED_FOR = text("x-forwarded-for: ");
const PROTO_HTTP = text("x-forwarded-proto: http\r\n");
const PROTO_HTTPS = text("x-forwarded-proto: https\r\n");
const REQUEST_ID = text("x-request-id: ");
const HTTPS = text("https");
const UNDERSCORE_BYTE = 0x5f;
/** Names of so many bytes and more have one bit in `removedLengths`. */
const LONG_NAME = 31;
const NO_BYTES = Buffer.alloc(0);

/** The `removedLengths` of names. */
export function lengthsOf(names: readonly Uint8Array[]): number {
  return names.reduce((bits, { length }) => bits | (1 << Math.min(length, LONG_NAME)), 0);
}

/** What is known of one connection's client, and of the request at hand. */
export class ClientFacts {
  /** Address of the peer, as text. */
  readonly peer: Buffer;
  readonly isSecure: boolean;
  /** Address that is believed to be the client's: the peer's, or what a trusted proxy said. */
  address: Buffer;
  /** The request's id; empty when it has none. Valid until the next request. */
  requestId: Buffer = NO_BYTES;
  /** Null: no trace begins here. */
  trace: TraceContext | null = null;
  /** What the access log will say of the request; null: nothing. */
  record: LogRecord | null = null;
  /** 1 for each FIELD that is not copied to the upstream. */
  drops: Uint8Array = requestDrops(true, true);
  #isProtoKept = false;
  #rules: ClientRules = DEFAULT_CLIENT_RULES;
  readonly #ids: RandomIds;
  /** `x-forwarded-for: PEER\r\nx-forwarded-proto: …\r\nx-request-id: ID\r\n`; made with the first request. */
  #lines: Buffer = NO_BYTES;
  #ownId: Buffer = NO_BYTES;
  #madeFor: ClientRules | null = null;

  constructor(peerAddress: string, isSecure: boolean, ids: RandomIds) {
    this.peer = text(peerAddress);
    this.address = this.peer;
    this.isSecure = isSecure;
    this.#ids = ids;
  }

  /** Takes in a request, and drops of its head what is not believed. Null, or why it is refused. */
  admit(head: Head, rules: ClientRules): Refusal | null {
    if (this.#madeFor !== rules) this.#prepare(rules);
    this.address = this.peer;
    this.#isProtoKept = false;
    if (rules.underscores !== UNDERSCORES.ALLOW && !isWithoutUnderscores(head, rules.underscores))
      return UNDERSCORE;
    if (rules.removed.length > 0) removeFields(head, rules);
    const isTrusted = rules.trustedHops > 0 || !rules.isEdge;
    let id = -1;
    if (head.hasSpecial) {
      const { kinds } = head;
      for (let i = 0; i < head.fieldCount; i++) {
        if (kinds[i] === FIELD.X_WEIR && !isTrusted) kinds[i] = FIELD.DROPPED;
        else if (kinds[i] === FIELD.X_REQUEST_ID && id < 0 && !isEmpty(head, i)) id = i;
        else if (kinds[i] === FIELD.X_FORWARDED_PROTO && isTrusted) this.#isProtoKept = true;
      }
      if (isTrusted) this.address = trustedAddress(head, rules) ?? this.peer;
    }
    this.drops = requestDrops(rules.isEdge && rules.isAppending, !this.#isProtoKept);
    if (id >= 0 && (isTrusted || rules.isIdKept)) {
      const { bytes, base, fields } = head;
      this.requestId = Buffer.from(bytes.subarray(base + fields[id * 4 + 2]!, base + fields[id * 4 + 3]!));
    } else if (rules.isIdMade) {
      this.#ids.writeUuid(this.#ownId, 0);
      this.requestId = this.#ownId;
    } else this.requestId = NO_BYTES;
    this.trace?.admit(head, this.#ids, rules.sampledTraces);
    return null;
  }

  /** Whether the upstream is told the peer's address in X-Forwarded-For. */
  get isPeerAppended(): boolean {
    return this.#rules.isEdge && this.#rules.isAppending;
  }

  /** The id that the answer states; empty: none. */
  get answerId(): Buffer {
    return this.#rules.isIdInAnswer ? this.requestId : NO_BYTES;
  }

  /** Whether the request came by https, as far as is known: from the hop in front, where that is believed, else by its own connection. */
  isSecureFor(head: Head): boolean {
    if (!this.#isProtoKept) return this.isSecure;
    const { bytes, base, fields, kinds } = head;
    for (let i = 0; i < head.fieldCount; i++)
      if (kinds[i] === FIELD.X_FORWARDED_PROTO)
        return isSameName(bytes, base + fields[i * 4 + 2]!, base + fields[i * 4 + 3]!, HTTPS);
    return this.isSecure;
  }

  /** A request that was refused before it could be admitted. */
  forget(): void {
    this.address = this.peer;
    this.requestId = NO_BYTES;
    this.trace?.forget();
  }

  /** Appends the lines that tell the upstream about the client. */
  compose(out: ByteStore, head: Head): void {
    const { requestId } = this;
    const rules = this.#rules;
    const isAppending = rules.isEdge && rules.isAppending;
    if (isAppending && !this.#isProtoKept && requestId === this.#ownId) {
      const lines = this.#lines;
      out.append(lines, 0, FORWARDED_FOR.length);
      if (head.hasSpecial) appendForwardedFor(out, head);
      out.append(lines, FORWARDED_FOR.length, lines.length);
      if (this.trace !== null) out.text(this.trace.line);
      return;
    }
    if (isAppending) {
      out.text(FORWARDED_FOR);
      if (head.hasSpecial) appendForwardedFor(out, head);
      out.text(this.peer);
      out.text(CRLF);
    }
    if (!this.#isProtoKept) out.text(this.isSecure ? PROTO_HTTPS : PROTO_HTTP);
    if (requestId.length > 0) {
      out.text(REQUEST_ID);
      out.text(requestId);
      out.text(CRLF);
    }
    if (this.trace !== null) out.text(this.trace.line);
  }

  #prepare(rules: ClientRules): void {
    this.#rules = rules;
    this.#madeFor = rules;
    this.trace = rules.sampledTraces < 0 ? null : new TraceContext();
    const proto = this.isSecure ? PROTO_HTTPS : PROTO_HTTP;
    const lines = Buffer.concat([
      FORWARDED_FOR,
      this.peer,
      CRLF,
      proto,
      ...(rules.isIdMade ? [REQUEST_ID, Buffer.alloc(REQUEST_ID_BYTES), CRLF] : []),
    ]);
    this.#lines = lines;
    const end = lines.length - CRLF.length;
    this.#ownId = rules.isIdMade ? lines.subarray(end - REQUEST_ID_BYTES, end) : NO_BYTES;
  }
}

/** What earlier hops said, unless Connection named the field. */
function appendForwardedFor(out: ByteStore, head: Head): void {
  for (let i = 0; i < head.fieldCount; i++) {
    if (head.kinds[i] !== FIELD.X_FORWARDED_FOR) continue;
    const start = head.base + head.fields[i * 4 + 2]!;
    const end = head.base + head.fields[i * 4 + 3]!;
    if (end === start) continue;
    out.append(head.bytes, start, end);
    out.text(COMMA_SPACE);
  }
}

/** The entry that the outermost trusted proxy wrote; null when there are fewer entries, or it is no address. */
function trustedAddress(head: Head, rules: ClientRules): Buffer | null {
  // The last hop of a peer that is a proxy itself is the peer: its entry is the last one.
  let left = rules.isEdge ? rules.trustedHops : rules.trustedHops + 1;
  const { bytes, base, fields } = head;
  for (let i = head.fieldCount - 1; i >= 0; i--) {
    if (head.kinds[i] !== FIELD.X_FORWARDED_FOR) continue;
    const start = base + fields[i * 4 + 2]!;
    for (let end = base + fields[i * 4 + 3]!; end > start; ) {
      let from = end;
      while (from > start && bytes[from - 1] !== COMMA) from--;
      left--;
      if (left === 0) return addressIn(bytes, from, end);
      end = from - 1;
    }
  }
  return null;
}

function addressIn(bytes: Buffer, start: number, end: number): Buffer | null {
  let first = start;
  let last = end;
  while (first < last && (bytes[first] === SP || bytes[first] === HTAB)) first++;
  while (last > first && (bytes[last - 1] === SP || bytes[last - 1] === HTAB)) last--;
  return isIP(bytes.toString("latin1", first, last)) === 0 ? null : Buffer.from(bytes.subarray(first, last));
}

/** False when such a field is there and the request is to be refused for it. */
function isWithoutUnderscores(head: Head, action: number): boolean {
  const { bytes, base, fields } = head;
  for (let i = 0; i < head.fieldCount; i++) {
    const end = base + fields[i * 4 + 1]!;
    let at = base + fields[i * 4]!;
    while (at < end && bytes[at] !== UNDERSCORE_BYTE) at++;
    if (at === end) continue;
    if (action === UNDERSCORES.REJECT) return false;
    drop(head, i);
  }
  return true;
}

function removeFields(head: Head, { removed, removedLengths }: ClientRules): void {
  const { bytes, base, fields } = head;
  for (let i = 0; i < head.fieldCount; i++) {
    const start = fields[i * 4]!;
    const end = fields[i * 4 + 1]!;
    if (((removedLengths >>> Math.min(end - start, LONG_NAME)) & 1) === 0) continue;
    const kind = head.kinds[i]!;
    if (kind >= FIELD.HOST && kind <= FIELD.CONNECTION) continue;
    for (let n = 0; n < removed.length; n++)
      if (isSameName(bytes, base + start, base + end, removed[n]!)) drop(head, i);
  }
}

function isEmpty({ fields }: Head, index: number): boolean {
  return fields[index * 4 + 2] === fields[index * 4 + 3];
}

function drop(head: Head, index: number): void {
  head.kinds[index] = FIELD.DROPPED;
  head.hasSpecial = true;
}
