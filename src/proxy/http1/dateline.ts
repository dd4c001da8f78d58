// [hot] The Date field of answers, written once a second. Answers of the proxy's own state it, and those that came without one: whoever has a
// clock and forwards such an answer adds it. Source: RFC 9110 6.6.1.

/** The line of one event loop. */
export class DateLine {
  /** From the time that `at` is given to the epoch's. */
  offsetMs = 0;
  #second = Number.NaN;
  #line: Buffer = Buffer.alloc(0);

  /** `date: …\r\n` for an instant in the time of deadlines. */
  at(nowMs: number): Buffer {
    const second = Math.floor((nowMs + this.offsetMs) / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#line = Buffer.from(`date: ${new Date(second * 1000).toUTCString()}\r\n`, "latin1");
    }
    return this.#line;
  }
}
