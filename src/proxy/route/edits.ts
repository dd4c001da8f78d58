// [hot] Phase "rewrite", fields: adds, overwrites and removes header fields of a head on its way. What becomes of each name was worked out
// when the configuration was compiled (compileedits.ts), for both cases: fields of that name came, or none did.
import { MAX_EDITED_NAMES } from "../../lib/fields.ts";
import type { Head } from "../http1/head.ts";
import { isSameName } from "../wire/bytes.ts";
import type { FieldEdits, Lines } from "./table.ts";

/** Where lines are written to. */
export interface LineSink {
  /** Appends a copy of bytes [start, end). */
  append(buf: Uint8Array, start: number, end: number): void;
  text(text: Uint8Array): void;
}

/** What a route changes about an answer's head. */
export interface AnswerChanges {
  readonly edits: FieldEdits | null;
  /** Whole lines that are added besides. */
  readonly added: Buffer | null;
  /** Of the client, for values that state it. */
  readonly address: Uint8Array;
}

/** Those of one exchange after another. */
export class Changes implements AnswerChanges {
  edits: FieldEdits | null = null;
  added: Buffer | null = null;
  address: Uint8Array = new Uint8Array(0);

  set(edits: FieldEdits | null, added: Buffer | null, address: Uint8Array): void {
    this.edits = edits;
    this.added = added;
    this.address = address;
  }

  /** Null where there are none, so that such an answer takes the shortest way. */
  orNull(): AnswerChanges | null {
    return this.edits === null && this.added === null ? null : this;
  }
}

const COLON_SPACE = Buffer.from(": ");
const CRLF = Buffer.from("\r\n");
/** Which names came, of the head at hand. */
const there = new Uint8Array(MAX_EDITED_NAMES);

/** Writes the fields of `head` that `drops` (1 for each FIELD that goes) lets pass, edited. Runs of lines that stay are one copy. */
export function writeEdited(
  out: LineSink,
  head: Head,
  drops: Uint8Array,
  edits: FieldEdits,
  address: Uint8Array,
): void {
  const { bytes, base, kinds, hasOddLine } = head;
  const { names } = edits;
  there.fill(0, 0, names.length);
  let from = head.lineOf(0);
  for (let i = 0; i < head.fieldCount; i++) {
    if (drops[kinds[i]!] !== 1 && isKept(head, i, edits)) {
      if (hasOddLine) writeLine(out, head, i);
      continue;
    }
    const line = head.lineOf(i);
    if (line > from && !hasOddLine) out.append(bytes, base + from, base + line);
    from = head.lineOf(i + 1);
  }
  if (head.length - 2 > from && !hasOddLine) out.append(bytes, base + from, base + head.length - 2);
  for (let i = 0; i < names.length; i++)
    writeLines(out, there[i] === 1 ? edits.whenThere[i]! : edits.whenMissing[i]!, address);
}

/** Whether edits say what becomes of fields of that name (lower case). */
export function isEdited({ names }: FieldEdits, name: Uint8Array): boolean {
  return indexOf(names, name, 0, name.length) >= 0;
}

/** Whether field `index` stays; notes that one of its name came. */
function isKept({ bytes, base, fields }: Head, index: number, { names, keeps }: FieldEdits): boolean {
  const found = indexOf(names, bytes, base + fields[index * 4]!, base + fields[index * 4 + 1]!);
  if (found < 0) return true;
  there[found] = 1;
  return keeps[found] === 1;
}

/** A line that was spelt in a way that may not be copied. */
function writeLine(out: LineSink, { bytes, base, fields }: Head, index: number): void {
  out.append(bytes, base + fields[index * 4]!, base + fields[index * 4 + 1]!);
  out.text(COLON_SPACE);
  out.append(bytes, base + fields[index * 4 + 2]!, base + fields[index * 4 + 3]!);
  out.text(CRLF);
}

function indexOf(names: readonly Uint8Array[], bytes: Uint8Array, start: number, end: number): number {
  for (let i = 0; i < names.length; i++) if (isSameName(bytes, start, end, names[i]!)) return i;
  return -1;
}

function writeLines(out: LineSink, lines: Lines, address: Uint8Array): void {
  for (let i = 0; i < lines.length; i++) out.text(lines[i] ?? address);
}
