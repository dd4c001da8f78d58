// Logs of containers: the process appends to a plain file; this keeps the file bounded, notes when its bytes arrived, and reads it back.
// Rotation copies and truncates (the process keeps its descriptor), so lines written between the two may be lost, as with logrotate.
import {
  appendFile,
  copyFile,
  type FileHandle,
  open,
  readFile,
  rename,
  rm,
  stat,
  truncate,
} from "node:fs/promises";
import { join } from "node:path";
import { type Clock, sleep, type Timer } from "../../lib/clock.ts";

export interface LogOptions {
  readonly follow?: boolean;
  /** Only that many lines from the end. */
  readonly tailLines?: number;
  /** Only lines that arrived within this time. */
  readonly sinceSeconds?: number;
  /** Prefix each line with the time at which it arrived (RFC 3339, precise to SAMPLE_MS). */
  readonly timestamps?: boolean;
  readonly signal?: AbortSignal;
}

/** Size at which a log is moved to its one older generation. */
export const LOG_BYTES = 10 * 1024 * 1024;
/** How often growth is noted while a container runs: the precision of log times. */
const SAMPLE_MS = 500;
/** Samples kept per file; beyond it every other one goes. */
const MAX_SAMPLES = 20_000;
const FOLLOW_POLL_MS = 100;
const CHUNK_BYTES = 64 * 1024;
/** A line longer than this is handed out in pieces. */
const LINE_BYTES = 256 * 1024;

/** Bounds the log of one attempt and notes arrival times while its process runs. The returned function stops it. */
export function keepLog(clock: Clock, dir: string, maxBytes: number = LOG_BYTES): () => void {
  let isStopped = false;
  let lastSize = -1;
  let timer: Timer | undefined;
  const sample = async (): Promise<void> => {
    const size = await sizeOf(join(dir, "log"));
    if (size !== lastSize && size > 0) await appendFile(join(dir, "log.times"), `${size} ${clock.nowMs()}\n`);
    lastSize = size;
    if (size > maxBytes) await rotate(dir);
  };
  const tick = (): void => {
    // A folder removed with its pod ends the sampling; nothing else can fail here but a full disk, seen by the process itself.
    void sample().then(schedule, () => undefined);
  };
  const schedule = (): void => {
    if (!isStopped) timer = clock.after(SAMPLE_MS, tick);
  };
  schedule();
  return () => {
    isStopped = true;
    timer?.cancel();
    void sample().catch(() => undefined);
  };
}

/** The lines of one attempt, oldest first. With `follow` it goes on until `isRunning` says no and all is read. */
export async function* readLog(
  clock: Clock,
  dir: string,
  options: LogOptions,
  isRunning: () => boolean,
): AsyncIterable<Uint8Array> {
  const sinceMs = options.sinceSeconds === undefined ? 0 : clock.nowMs() - options.sinceSeconds * 1000;
  let tail: Uint8Array[] = [];
  let offset = 0;
  const limit = options.tailLines;
  for (const name of ["log.1", "log"]) {
    const times = await readTimes(dir, name);
    for await (const line of linesOf(join(dir, name), 0)) {
      if (name === "log") offset = line.endOffset;
      const atMs = timeAt(times, line.endOffset, clock.nowMs());
      if (atMs < sinceMs) continue;
      const bytes = options.timestamps === true ? stamped(line.bytes, atMs) : line.bytes;
      if (limit === undefined) yield bytes;
      else if (limit > 0) {
        tail.push(bytes);
        if (tail.length >= 2 * limit) tail = tail.slice(-limit);
      }
    }
  }
  if (limit !== undefined && limit > 0) yield* tail.slice(-limit);
  if (options.follow === true) yield* followLog(clock, dir, offset, options, isRunning);
}

async function* followLog(
  clock: Clock,
  dir: string,
  fromOffset: number,
  options: LogOptions,
  isRunning: () => boolean,
): AsyncIterable<Uint8Array> {
  const file = join(dir, "log");
  let offset = fromOffset;
  while (options.signal?.aborted !== true) {
    // Asked before reading: what is written before the end is read after it.
    const goesOn = isRunning();
    const size = await sizeOf(file);
    if (size < offset) offset = 0;
    for await (const line of linesOf(file, offset, goesOn)) {
      offset = line.endOffset;
      yield options.timestamps === true ? stamped(line.bytes, clock.nowMs()) : line.bytes;
    }
    if (!goesOn) return;
    await sleep(clock, FOLLOW_POLL_MS, options.signal);
  }
}

interface Line {
  readonly bytes: Uint8Array;
  /** Offset in the file just behind the line. */
  readonly endOffset: number;
}

/** Lines from `offset` on, with their line feeds. With `isCompleteOnly`, a last line without one waits for the rest. */
async function* linesOf(file: string, offset: number, isCompleteOnly = false): AsyncIterable<Line> {
  const handle = await openOrNone(file);
  if (handle === undefined) return;
  try {
    let rest: Buffer = Buffer.alloc(0);
    let position = offset;
    for (;;) {
      const { bytesRead, buffer } = await handle.read(Buffer.alloc(CHUNK_BYTES), 0, CHUNK_BYTES, position);
      if (bytesRead === 0) break;
      rest = Buffer.concat([rest, buffer.subarray(0, bytesRead)]);
      position += bytesRead;
      let end = nextEnd(rest);
      while (end > 0) {
        const bytes = rest.subarray(0, end);
        rest = rest.subarray(end);
        yield { bytes, endOffset: position - rest.length };
        end = nextEnd(rest);
      }
    }
    if (rest.length > 0 && !isCompleteOnly) yield { bytes: rest, endOffset: position };
  } finally {
    await handle.close();
  }
}

function nextEnd(bytes: Buffer): number {
  const feed = bytes.indexOf(10);
  if (feed >= 0) return feed + 1;
  return bytes.length >= LINE_BYTES ? LINE_BYTES : 0;
}

function stamped(bytes: Uint8Array, atMs: number): Uint8Array {
  return Buffer.concat([Buffer.from(`${new Date(atMs).toISOString()} `), bytes]);
}

interface Sample {
  readonly size: number;
  readonly atMs: number;
}

async function readTimes(dir: string, name: string): Promise<readonly Sample[]> {
  try {
    const text = await readFile(join(dir, `${name}.times`), "utf8");
    const samples = text.split("\n").flatMap((line) => {
      const [size, atMs] = line.split(" ").map(Number);
      return size !== undefined && atMs !== undefined && line !== "" ? [{ size, atMs }] : [];
    });
    if (samples.length > MAX_SAMPLES) await thin(dir, name, samples);
    return samples;
  } catch {
    // No samples yet: the lines count as having arrived now.
    return [];
  }
}

async function thin(dir: string, name: string, samples: readonly Sample[]): Promise<void> {
  const kept = samples.filter((_sample, index) => index % 2 === 1 || index === samples.length - 1);
  const file = join(dir, `${name}.times`);
  await appendFile(`${file}.tmp`, kept.map(({ size, atMs }) => `${size} ${atMs}\n`).join(""));
  await rename(`${file}.tmp`, file);
}

function timeAt(times: readonly Sample[], offset: number, nowMs: number): number {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((times[middle]?.size ?? 0) < offset) low = middle + 1;
    else high = middle;
  }
  return times[low]?.atMs ?? nowMs;
}

async function rotate(dir: string): Promise<void> {
  const file = join(dir, "log");
  await copyFile(file, `${file}.1.tmp`);
  await truncate(file);
  await rename(`${file}.1.tmp`, `${file}.1`);
  await rename(`${file}.times`, `${file}.1.times`).catch(() => rm(`${file}.1.times`, { force: true }));
}

async function sizeOf(file: string): Promise<number> {
  try {
    return (await stat(file)).size;
  } catch {
    // Not written to yet.
    return 0;
  }
}

async function openOrNone(file: string): Promise<FileHandle | undefined> {
  try {
    return await open(file, "r");
  } catch {
    // No such generation.
    return undefined;
  }
}
