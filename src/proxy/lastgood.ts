// The last good configuration on disk: what the control plane had last brought in force, for a start that finds no control plane. One file,
// replaced whole: a line of JSON that says whose it is and how to tell that it is whole, behind it the resources (xds/snapshotbytes.ts).
// Only listeners, routes, clusters and endpoints are in it: no secrets. What cannot be read or is not this node's is ignored with a warning;
// what cannot be written is warned of once, and tried again.
import { createHash, type Hash } from "node:crypto";
import { chmod, mkdir, open, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Clock, Timer } from "../lib/clock.ts";
import { messageOf } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import { decodeSnapshot, encodeSnapshot, type XdsSnapshot } from "../xds/types.ts";

const FILE = "last-good";
const FORMAT = 1;
/** Between two writes, however often the configuration changes. */
const WRITE_EVERY_MS = 2_000;
/** After a write that failed. */
const RETRY_MS = 30_000;
/** Largest file that is read, longest head in it. */
const MAX_BYTES = 256 * 1024 * 1024;
const MAX_HEAD_BYTES = 4_096;

export interface LastGoodOptions {
  /** Made if it is not there. */
  readonly dir: string;
  readonly nodeId: string;
  readonly group: string;
  readonly clock: Clock;
  readonly log: Logger;
}

interface Head {
  readonly format: number;
  readonly node: string;
  readonly group: string;
  readonly sha256: string;
}

/** See the head of this file. */
export class LastGood {
  readonly #options: LastGoodOptions;
  readonly #file: string;
  #wanted: XdsSnapshot | undefined;
  #writing: Promise<void> | undefined;
  #timer: Timer | undefined;
  #writtenAtMs = Number.NEGATIVE_INFINITY;
  #hasFailed = false;

  constructor(options: LastGoodOptions) {
    this.#options = options;
    this.#file = join(options.dir, FILE);
  }

  /** What is on disk; undefined when there is nothing, or nothing to be trusted. */
  async read(): Promise<XdsSnapshot | undefined> {
    try {
      const bytes = await readBounded(this.#file);
      return bytes && this.#decode(bytes);
    } catch (error) {
      this.#options.log.warn("the last good configuration on disk is ignored", {
        file: this.#file,
        why: messageOf(error),
      });
      return undefined;
    }
  }

  /** Takes what is in force now; it is written soon, unless something newer comes. Never throws. */
  keep(snapshot: XdsSnapshot): void {
    this.#wanted = snapshot;
    this.#writeIn(this.#writtenAtMs + WRITE_EVERY_MS - this.#options.clock.steadyMs());
  }

  /** Writes what is not written yet. */
  async close(): Promise<void> {
    this.#timer?.cancel();
    await this.#writing;
    await this.#write();
    this.#timer?.cancel();
  }

  #writeIn(delayMs: number): void {
    if (this.#writing !== undefined) return;
    this.#timer?.cancel();
    this.#timer = this.#options.clock.after(Math.max(0, delayMs), () => {
      this.#writing = this.#write().finally(() => {
        this.#writing = undefined;
        if (this.#wanted !== undefined) this.#writeIn(this.#hasFailed ? RETRY_MS : WRITE_EVERY_MS);
      });
    });
  }

  async #write(): Promise<void> {
    const snapshot = this.#wanted;
    if (snapshot === undefined) return;
    this.#wanted = undefined;
    this.#writtenAtMs = this.#options.clock.steadyMs();
    const file = this.#file;
    const { dir, log } = this.#options;
    const unfinished = `${file}.${process.pid}.new`;
    try {
      await mkdir(dir, { recursive: true, mode: 0o700 });
      await this.#writeTo(unfinished, snapshot);
      await rename(unfinished, file);
      if (this.#hasFailed) log.info("the last good configuration is written again", { file });
      this.#hasFailed = false;
    } catch (error) {
      // What is newer by now goes before.
      this.#wanted ??= snapshot;
      await rm(unfinished, { force: true }).catch(() => undefined);
      if (!this.#hasFailed)
        log.warn("the last good configuration cannot be written", { file, why: messageOf(error) });
      this.#hasFailed = true;
    }
  }

  async #writeTo(file: string, snapshot: XdsSnapshot): Promise<void> {
    const records: Uint8Array[] = [];
    const hash = this.#hash();
    for (const record of encodeSnapshot(snapshot)) {
      records.push(record);
      hash.update(record);
      // Traffic goes on between two resources.
      await nextTurn();
    }
    const { nodeId, group } = this.#options;
    const head: Head = { format: FORMAT, node: nodeId, group, sha256: hash.digest("hex") };
    await rm(file, { force: true });
    const handle = await open(file, "wx", 0o600);
    try {
      // Whatever the process's umask is.
      await chmod(file, 0o600);
      await handle.writeFile(Buffer.concat([Buffer.from(`${JSON.stringify(head)}\n`), ...records]));
      await handle.sync();
    } finally {
      await handle.close();
    }
  }

  #decode(bytes: Buffer): XdsSnapshot {
    const end = bytes.subarray(0, MAX_HEAD_BYTES).indexOf("\n");
    if (end === -1) throw new Error("it does not begin with a line of JSON");
    const { format, node, group, sha256 } = readHead(bytes.toString("utf8", 0, end));
    if (format !== FORMAT) throw new Error(`it has format ${format}; this weir reads ${FORMAT}`);
    const { nodeId, group: ownGroup } = this.#options;
    if (node !== nodeId || group !== ownGroup)
      throw new Error(`it is that of node ${node} in group ${group}; this is ${nodeId} in ${ownGroup}`);
    const body = bytes.subarray(end + 1);
    if (this.#hash().update(body).digest("hex") !== sha256) throw new Error("its checksum does not match");
    return decodeSnapshot(body);
  }

  /** Over the resources and whose they are. */
  #hash(): Hash {
    const { nodeId, group } = this.#options;
    return createHash("sha256").update(JSON.stringify([FORMAT, nodeId, group]));
  }
}

/** Undefined: there is no file. */
async function readBounded(file: string): Promise<Buffer | undefined> {
  try {
    const { size } = await stat(file);
    if (size > MAX_BYTES) throw new Error(`it has ${size} bytes; at most ${MAX_BYTES} are read`);
    const handle = await open(file, "r");
    try {
      return await handle.readFile();
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

function readHead(line: string): Partial<Head> {
  const head: unknown = JSON.parse(line);
  // Of an object, each field is looked at before it is believed.
  return typeof head === "object" && head !== null ? (head as Partial<Head>) : {};
}
