// [hot] The files of access logs. Lines are collected in memory and written in batches, off the event loop, always whole lines. While a batch is
// being written another one fills; when that is full too, or the file cannot take a batch (a full disk), lines are dropped and counted:
// logging never holds up traffic. Reopened on demand, for rotation.
import { closeSync, openSync, write, writeSync } from "node:fs";
import { messageOf, WeirError } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import { CONFIG_REJECTED } from "../compile/problems.ts";
import type { DeadlineOwner, Deadlines } from "../deadlines.ts";
import { TALLIES, type Tallies } from "./tallies.ts";

/** Bytes of a batch; a longer line is dropped. */
const BATCH_BYTES = 128 * 1024;
/** A batch is written from this size on, or after FLUSH_MS. */
const WRITE_BYTES = 64 * 1024;
const FLUSH_MS = 1_000;
/** Most files open at once. */
const MAX_FILES = 32;
/** Failures are logged at most so often. */
const WARN_EVERY_MS = 60_000;
const LF = 10;
/** Lines begin here in a batch: before them stands a line end, written where the file ends in half a line. */
const FIRST = 1;
const MODE = 0o640;

export interface LogDeps {
  readonly deadlines: Deadlines;
  readonly tallies: Tallies;
  readonly log: Logger;
}

/** The log files of one event loop, by path. */
export class LogFiles {
  readonly #deps: LogDeps;
  readonly #files = new Map<string, LogFile>();

  constructor(deps: LogDeps) {
    this.#deps = deps;
  }

  /** The file at `path`, opened for appending. Throws CONFIG_REJECTED when it cannot be. */
  open(path: string): LogFile {
    const known = this.#files.get(path);
    if (known !== undefined) return known;
    const refuse = (why: string, cause?: unknown): WeirError =>
      new WeirError({
        code: CONFIG_REJECTED,
        source: "user",
        message: `access_log path ${JSON.stringify(path)} ${why}`,
        cause,
      });
    if (this.#files.size >= MAX_FILES)
      throw refuse(`is one more than the ${MAX_FILES} files that may be open`);
    try {
      const file = new LogFile(this.#deps, path);
      this.#files.set(path, file);
      return file;
    } catch (error) {
      throw refuse(`cannot be opened: ${messageOf(error)}`, error);
    }
  }

  /** Closes the files that are not named. */
  keep(paths: ReadonlySet<string>): void {
    for (const [path, file] of this.#files) {
      if (paths.has(path)) continue;
      this.#files.delete(path);
      file.close();
    }
  }

  /** Opens every file anew by its path: what was moved away gets no further lines. */
  reopen(): void {
    for (const file of this.#files.values()) file.reopen();
  }

  /** Writes what is pending and closes; resolves when all is written. */
  async close(): Promise<void> {
    const files = [...this.#files.values()];
    this.keep(new Set());
    await Promise.all(files.map(({ closed }) => closed));
  }
}

/** One file. To write a line: `begin` (false: drop it), append to `bytes` at `at`, then `end`. */
export class LogFile implements DeadlineOwner {
  readonly path: string;
  /** Resolves when the file is closed. */
  readonly closed: Promise<void>;
  bytes: Buffer = newBatch();
  at = FIRST;
  readonly #deps: LogDeps;
  readonly #slot: number;
  readonly #written: number;
  readonly #dropped: number;
  #fd: number;
  #spare: Buffer | null = null;
  #isWriting = false;
  #isClosed = false;
  #onClosed: () => void = () => undefined;
  /** The file ends in half a line: the disk was full in the middle of it. */
  #isTorn = false;
  /** Left behind by `reopen` while a write was under way. */
  #oldFd = -1;
  #lines = 0;
  #warnedMs = Number.NEGATIVE_INFINITY;

  /** Throws the system's error when the file cannot be opened. */
  constructor(deps: LogDeps, path: string) {
    this.path = path;
    this.closed = new Promise((resolve) => {
      this.#onClosed = resolve;
    });
    this.#deps = deps;
    this.#fd = openSync(path, "a", MODE);
    this.#slot = deps.deadlines.add(this);
    this.#written = deps.tallies.place(TALLIES.accessLog, "written");
    this.#dropped = deps.tallies.place(TALLIES.accessLog, "dropped");
  }

  /** Makes room for a line of at most `size` bytes; false: there is none, and the line is counted as dropped. */
  begin(size: number): boolean {
    if (!this.#isClosed && this.at + size <= BATCH_BYTES) return true;
    if (!this.#isClosed) this.#write();
    if (!this.#isClosed && this.at + size <= BATCH_BYTES) return true;
    this.#deps.tallies.add(this.#dropped, 1);
    return false;
  }

  /** The line is whole, and ends at `at`. */
  end(at: number): void {
    this.at = at;
    this.#lines += 1;
    if (this.#lines === 1) this.#deps.deadlines.set(this.#slot, FLUSH_MS);
    if (at >= WRITE_BYTES) this.#write();
  }

  onDeadline(): void {
    this.#write();
  }

  onInternalError(error: unknown): void {
    this.#deps.log.error("internal error in an access log", { path: this.path, error: messageOf(error) });
  }

  reopen(): void {
    this.#write();
    let fd: number;
    try {
      fd = openSync(this.path, "a", MODE);
    } catch (error) {
      this.#warn("access log cannot be reopened; the file that is open is kept", error);
      return;
    }
    if (this.#isWriting && this.#oldFd === -1) this.#oldFd = this.#fd;
    else if (this.#fd !== -1) closeSync(this.#fd);
    this.#fd = fd;
  }

  /** Writes what is pending, and closes. Idempotent. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#deps.deadlines.remove(this.#slot);
    if (!this.#isWriting) this.#finish();
  }

  /** Hands the batch over to be written, unless one is being written. */
  #write(): void {
    if (this.#isWriting || this.at === FIRST) return;
    const batch = this.bytes;
    const length = this.at;
    this.bytes = this.#spare ?? newBatch();
    this.#spare = null;
    this.at = FIRST;
    const lines = this.#lines;
    this.#lines = 0;
    this.#isWriting = true;
    this.#writeRest(this.#fd, batch, this.#isTorn ? 0 : FIRST, length, lines);
  }

  #writeRest(fd: number, batch: Buffer, from: number, length: number, lines: number): void {
    write(fd, batch, from, length - from, null, (error, count) => {
      const next = from + (error === null ? count : 0);
      if (error === null && count > 0 && next < length) {
        this.#writeRest(fd, batch, next, length, lines);
        return;
      }
      this.#isWriting = false;
      this.#spare = batch;
      this.#settle(batch, next, length, lines, error);
      if (this.#oldFd !== -1) closeSync(this.#oldFd);
      this.#oldFd = -1;
      if (this.#isClosed) this.#finish();
      else if (this.at >= WRITE_BYTES) this.#write();
      else if (this.#lines > 0) this.#deps.deadlines.set(this.#slot, FLUSH_MS);
    });
  }

  #finish(): void {
    const lines = this.#lines;
    this.#lines = 0;
    let from = this.#isTorn ? 0 : FIRST;
    let failure: unknown = null;
    try {
      while (this.at > FIRST && from < this.at) from += writeSync(this.#fd, this.bytes, from, this.at - from);
    } catch (error) {
      failure = error;
    }
    if (this.at > FIRST) this.#settle(this.bytes, from, this.at, lines, failure);
    this.at = FIRST;
    closeSync(this.#fd);
    this.#fd = -1;
    this.#onClosed();
  }

  /** A batch of `lines` was written up to `next`. */
  #settle(batch: Buffer, next: number, length: number, lines: number, error: unknown): void {
    const { tallies } = this.#deps;
    const dropped = next === length ? 0 : linesIn(batch, Math.max(next, FIRST), length);
    if (next > FIRST) this.#isTorn = batch[next - 1] !== LF;
    tallies.add(this.#written, lines - dropped);
    if (dropped === 0) return;
    tallies.add(this.#dropped, dropped);
    this.#warn("access log lines are dropped", error);
  }

  #warn(message: string, error: unknown): void {
    const { deadlines, log } = this.#deps;
    if (deadlines.nowMs < this.#warnedMs + WARN_EVERY_MS) return;
    this.#warnedMs = deadlines.nowMs;
    log.warn(message, { path: this.path, error: messageOf(error) });
  }
}

/** Lines that end in bytes[start, end). */
function linesIn(bytes: Buffer, start: number, end: number): number {
  let lines = 0;
  for (let at = bytes.indexOf(LF, start); at !== -1 && at < end; at = bytes.indexOf(LF, at + 1)) lines++;
  return lines;
}

function newBatch(): Buffer {
  const batch = Buffer.allocUnsafeSlow(BATCH_BYTES);
  batch[0] = LF;
  return batch;
}
