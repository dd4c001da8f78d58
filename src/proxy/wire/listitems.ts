// [hot] The items of a comma-separated field value, one after another, without the blanks around them (RFC 9110 5.6.1). Empty ones count.
import { COMMA, HTAB, SP } from "./bytes.ts";

/** See the head of this file. Call `of`, then `next` until it says false. */
export class ListItems {
  /** The item at hand: bytes [start, end). */
  start = 0;
  end = 0;
  #buf: Uint8Array = new Uint8Array(0);
  #from = 0;
  #stop = 0;

  /** Turns to the value buf[start, end). */
  of(buf: Uint8Array, start: number, end: number): void {
    this.#buf = buf;
    this.#from = start;
    this.#stop = end;
  }

  /** Goes on to the next item; false: there is none. */
  next(): boolean {
    const buf = this.#buf;
    const stop = this.#stop;
    let first = this.#from;
    if (first > stop) return false;
    let last = first;
    while (last < stop && buf[last] !== COMMA) last++;
    this.#from = last + 1;
    while (first < last && (buf[first] === SP || buf[first] === HTAB)) first++;
    while (last > first && (buf[last - 1] === SP || buf[last - 1] === HTAB)) last--;
    this.start = first;
    this.end = last;
    return true;
  }
}
