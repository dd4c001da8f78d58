// One bound on the bytes that are kept beside the stream: request bodies for a second try, and what mirrors have not taken yet. Whoever keeps
// bytes takes them here first and gives them back; when there are none left it goes on without the copy.

/** A count of bytes with a limit. */
export class ByteBudget {
  readonly limit: number;
  used = 0;

  constructor(limit: number) {
    this.limit = limit;
  }

  /** False when that many are not left; then nothing is taken. */
  take(bytes: number): boolean {
    if (this.used + bytes > this.limit) return false;
    this.used += bytes;
    return true;
  }

  give(bytes: number): void {
    this.used -= bytes;
  }
}
