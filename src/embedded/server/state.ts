// The state folder: version, lock, database, token, certificate. A folder that is in use, damaged or of a newer weir is
// refused with words, and left as it is. The lock is the database's own (the kernel drops it with the process, so SIGKILL
// leaves none behind); the file `lock` only tells others whose it is.
import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { setTimeout as wait } from "node:timers/promises";
import { isWeirError, messageOf, WeirError } from "../../lib/errors.ts";
import { type Certificate, createCertificate, isUsable } from "./certificate.ts";
import { corruptState, openDatabase } from "./database.ts";
import { SERVER_ERRORS } from "./errors.ts";

/** Version of the layout of the state folder. */
export const STATE_VERSION = 1;
/** How often, and after which pause, a folder is tried again whose holder has not (or no longer) told its name. */
const NAMELESS_TRIES = 40;
const NAMELESS_WAIT_MS = 50;

export interface State {
  /** Undefined in memory. */
  readonly dir: string | undefined;
  readonly db: DatabaseSync;
  /** Bearer token of the one user. */
  readonly token: string;
  readonly certificate: Certificate;
  /** Releases the folder. Idempotent. */
  close(): void;
}

export interface StateOptions {
  readonly nowMs: number;
  /** Bound of the database; default MAX_STATE_BYTES. */
  readonly maxBytes?: number;
}

/** Opens or creates a state folder (`:memory:` keeps everything in memory). */
export async function openState(dir: string, options: StateOptions): Promise<State> {
  const bounds = options.maxBytes === undefined ? {} : { maxBytes: options.maxBytes };
  if (dir === ":memory:") {
    const certificate = await createCertificate(options.nowMs);
    return stateOf(undefined, openDatabase(":memory:", bounds), newToken(), certificate);
  }
  prepareFolder(dir);
  const db = await openLocked(dir, bounds);
  try {
    replaceFile(join(dir, "lock"), `${process.pid}\n`);
    const token = readOrCreate(join(dir, "token"), newToken).trim();
    if (token === "") throw corruptState(dir, "token", "it is empty");
    return stateOf(dir, db, token, await certificateIn(dir, options.nowMs));
  } catch (error) {
    db.close();
    throw isWeirError(error) ? error : unusable(dir, error);
  }
}

function stateOf(dir: string | undefined, db: DatabaseSync, token: string, certificate: Certificate): State {
  return {
    dir,
    db,
    token,
    certificate,
    close: () => {
      if (!db.isOpen) return;
      // While the lock is still held: afterwards the file may be another process's.
      if (dir !== undefined) rmSync(join(dir, "lock"), { force: true });
      db.close();
    },
  };
}

/** Makes the folder or checks its version; changes nothing in a folder that it refuses. */
function prepareFolder(dir: string): void {
  const file = join(dir, "version");
  let words: string;
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    if (!existsSync(file)) {
      if (existsSync(join(dir, "weir.db"))) throw corruptState(dir, "version", "the file is missing");
      replaceFile(file, `${STATE_VERSION}\n`);
    }
    words = readFileSync(file, "utf8").trim();
  } catch (error) {
    throw isWeirError(error) ? error : unusable(dir, error);
  }
  if (!/^[1-9]\d{0,8}$/.test(words))
    throw corruptState(dir, "version", `it reads ${JSON.stringify(words.slice(0, 40))}`);
  if (Number(words) <= STATE_VERSION) return;
  throw new WeirError({
    code: SERVER_ERRORS.stateVersion,
    source: "user",
    message:
      `the state folder ${dir} is of version ${words}, this weir knows up to ${STATE_VERSION}. ` +
      "Nothing was changed. Use the newer weir, or another folder",
    context: { dir, version: words },
  });
}

/** Opens the database, or says whose it is. A holder that is only just starting or stopping has no name: it is waited for a while. */
async function openLocked(dir: string, bounds: { readonly maxBytes?: number }): Promise<DatabaseSync> {
  for (let attempt = 1; ; attempt++) {
    try {
      const db = openDatabase(join(dir, "weir.db"), { dir, ...bounds });
      chmodSync(join(dir, "weir.db"), 0o600);
      return db;
    } catch (error) {
      if (!isWeirError(error, SERVER_ERRORS.stateLocked)) throw error;
      const pid = lockHolder(dir);
      if (pid !== undefined) throw lockedBy(dir, pid, error);
      if (attempt === NAMELESS_TRIES) throw error;
      await wait(NAMELESS_WAIT_MS);
    }
  }
}

function lockedBy(dir: string, pid: number, cause: unknown): WeirError {
  return new WeirError({
    code: SERVER_ERRORS.stateLocked,
    source: "user",
    message: `the state folder ${dir} is in use by the process ${pid}: stop it with \`weir down --state ${dir}\`, or choose another folder`,
    cause,
    context: { dir, pid },
  });
}

/** The process that the file `lock` names; undefined while its holder has not yet written it. */
function lockHolder(dir: string): number | undefined {
  try {
    const pid = Number(readFileSync(join(dir, "lock"), "utf8").trim());
    if (!Number.isSafeInteger(pid) || pid <= 0) return undefined;
    process.kill(pid, 0);
    return pid;
  } catch {
    // No such file, or the name of a process that is gone: the holder is only just starting.
    return undefined;
  }
}

async function certificateIn(dir: string, nowMs: number): Promise<Certificate> {
  const file = join(dir, "certificate.pem");
  if (existsSync(file)) {
    const text = readFileSync(file, "utf8");
    const cut = text.indexOf("-----BEGIN PRIVATE KEY-----");
    const found = { certPem: text.slice(0, Math.max(cut, 0)), keyPem: text.slice(Math.max(cut, 0)) };
    if (isUsable(found, nowMs)) return found;
  }
  const certificate = await createCertificate(nowMs);
  // One file, one rename: key and certificate always belong together.
  replaceFile(file, `${certificate.certPem.trimEnd()}\n${certificate.keyPem.trimEnd()}\n`);
  return certificate;
}

function readOrCreate(file: string, create: () => string): string {
  if (!existsSync(file)) replaceFile(file, `${create()}\n`);
  return readFileSync(file, "utf8");
}

function newToken(): string {
  return randomBytes(32).toString("hex");
}

/** Writes a file of mode 0600 whole or not at all. */
export function replaceFile(file: string, text: string): void {
  const temporary = `${file}.${process.pid}.new`;
  writeFileSync(temporary, text, { mode: 0o600, flush: true });
  renameSync(temporary, file);
}

function unusable(dir: string, error: unknown): WeirError {
  return new WeirError({
    code: SERVER_ERRORS.stateUnusable,
    source: "user",
    message: `the state folder ${dir} cannot be used: ${messageOf(error)}`,
    cause: error,
    context: { dir },
  });
}
