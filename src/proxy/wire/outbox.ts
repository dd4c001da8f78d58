// [hot] Collects what one turn of the event loop writes to a wire, so that a head and the body that came with it are one system call.
// Small pieces are copied to a shared scratch buffer; large ones go out as they are. A buffer that the kernel has not taken at once is
// listed in `kept` until the turn ends: its owner must then take another one.
import { writeDecimal } from "./bytes.ts";
import type { Wire } from "./wire.ts";

const SCRATCH_BYTES = 128 * 1024;
/** Pieces from this size on are written without a copy. */
const DIRECT_BYTES = 4096;

/** The write side of one event loop. */
export class Outbox {
  #scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
  #length = 0;
  #wire: Wire | null = null;
  readonly #kept: Uint8Array[] = [];

  /** Makes `wire` the receiver of what follows; what was collected for another goes out first. */
  to(wire: Wire): void {
    if (this.#wire === wire) return;
    this.flush();
    this.#wire = wire;
  }

  /** Appends bytes [start, end) of `buf`; copied unless there are many. */
  bytes(buf: Uint8Array, start: number, end: number): void {
    const count = end - start;
    if (count >= DIRECT_BYTES) {
      if (this.#length + count > SCRATCH_BYTES) this.flush(false);
      if (this.#length === 0) {
        this.#direct(buf, start, end);
        return;
      }
    }
    this.copied(buf, start, end);
  }

  /** Appends a copy of bytes [start, end) of `buf`. */
  copied(buf: Uint8Array, start: number, end: number): void {
    const count = end - start;
    if (count > SCRATCH_BYTES) {
      // Only a head that a listener allows to be that large.
      this.copied(buf, start, start + SCRATCH_BYTES);
      this.copied(buf, start + SCRATCH_BYTES, end);
      return;
    }
    if (this.#length + count > SCRATCH_BYTES) this.flush(false);
    const scratch = this.#scratch;
    const at = this.#length;
    if (count < 24) for (let i = 0; i < count; i++) scratch[at + i] = buf[start + i]!;
    else if (buf instanceof Buffer) buf.copy(scratch, at, start, end);
    else scratch.set(buf.subarray(start, end), at);
    this.#length = at + count;
  }

  /** The same, by the name that a ByteStore has for it. */
  append(buf: Uint8Array, start: number, end: number): void {
    this.copied(buf, start, end);
  }

  /** Appends a constant. */
  text(text: Uint8Array): void {
    this.copied(text, 0, text.length);
  }

  /** Appends a whole number in decimal digits. */
  decimal(value: number): void {
    if (this.#length + 20 > SCRATCH_BYTES) this.flush(false);
    this.#length = writeDecimal(this.#scratch, this.#length, value);
  }

  /** Appends the size line of a chunk. */
  chunkSize(size: number): void {
    if (this.#length + 16 > SCRATCH_BYTES) this.flush(false);
    this.#length += this.#scratch.write(`${size.toString(16)}\r\n`, this.#length, "latin1");
  }

  /** Writes what was collected. Called at the end of every turn. */
  flush(isLast = true): void {
    const wire = this.#wire;
    const length = this.#length;
    if (wire !== null && length > 0) {
      this.#length = 0;
      const scratch = this.#scratch;
      // A wire that is behind would hold the whole scratch buffer: it gets a copy of its own.
      const view = wire.isPending ? Buffer.from(scratch.subarray(0, length)) : scratch.subarray(0, length);
      if (!wire.write(view)) {
        if (view.buffer === scratch.buffer) this.#scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
        wire.owner.onPending();
      }
    }
    if (isLast) this.#wire = null;
  }

  /** Tells whether the kernel still needs `buf`. */
  isKept(buf: Uint8Array): boolean {
    return this.#kept.length > 0 && this.#kept.includes(buf);
  }

  /** Ends a turn: forgets which buffers were kept. */
  forgetKept(): void {
    if (this.#kept.length > 0) this.#kept.length = 0;
  }

  #direct(buf: Uint8Array, start: number, end: number): void {
    const wire = this.#wire;
    if (wire === null || wire.write(buf.subarray(start, end))) return;
    this.#kept.push(buf);
    wire.owner.onPending();
  }
}
