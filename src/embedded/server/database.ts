// Opens the SQLite database of the server: schema, durability, bounds; translates SQLite's failures into words.
// WAL with synchronous=NORMAL: a killed process loses nothing that was committed, a power cut at most the last moments.
import { DatabaseSync } from "node:sqlite";
import { messageOf, WeirError } from "../../lib/errors.ts";
import { isObject } from "../../lib/json.ts";
import { apiError, SERVER_ERRORS } from "./errors.ts";

/** Default bound of the database file: beyond it writes are refused with 507. */
export const MAX_STATE_BYTES = 4 * 1024 ** 3;

const SQLITE = {
  busy: 5,
  readOnly: 8,
  ioError: 10,
  corrupt: 11,
  full: 13,
  cannotOpen: 14,
  notADatabase: 26,
} as const;

const SCHEMA = `
CREATE TABLE IF NOT EXISTS objects (
  kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
  uid TEXT NOT NULL, version INTEGER NOT NULL, written_at INTEGER NOT NULL, body TEXT NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS objects_key ON objects (kind, namespace, name);
CREATE UNIQUE INDEX IF NOT EXISTS objects_uid ON objects (uid);
CREATE INDEX IF NOT EXISTS objects_namespace ON objects (namespace);
CREATE TABLE IF NOT EXISTS owners (
  owner_uid TEXT NOT NULL, kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
  PRIMARY KEY (owner_uid, kind, namespace, name)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS owners_dependent ON owners (kind, namespace, name);
CREATE TABLE IF NOT EXISTS history (
  version INTEGER PRIMARY KEY, kind TEXT NOT NULL, namespace TEXT NOT NULL,
  type TEXT NOT NULL, body TEXT NOT NULL, previous TEXT
);`;

export interface DatabaseOptions {
  /** Folder named in error messages; absent for a database in memory. */
  readonly dir?: string;
  /** Default MAX_STATE_BYTES. */
  readonly maxBytes?: number;
}

/** Opens and checks a database and locks it for this process until it is closed; throws WEIR_ERR_EMBEDDED_STATE_* codes. */
export function openDatabase(path: string, options: DatabaseOptions = {}): DatabaseSync {
  const where = options.dir ?? path;
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(path, { timeout: 0, enableForeignKeyConstraints: false });
    // The lock is the operating system's: it ends with the process, however that ends.
    db.exec("PRAGMA locking_mode = EXCLUSIVE");
    db.exec("PRAGMA journal_mode = WAL");
    db.exec("PRAGMA synchronous = NORMAL");
    db.exec("BEGIN EXCLUSIVE; COMMIT");
    checkIntegrity(db);
    db.exec(SCHEMA);
    db.exec(`PRAGMA max_page_count = ${Math.floor((options.maxBytes ?? MAX_STATE_BYTES) / 4096)}`);
    return db;
  } catch (error) {
    db?.close();
    throw openingFailed(error, where);
  }
}

/** A failed statement as the API answers it; errors that are not SQLite's pass through. */
export function storageFailed(error: unknown): unknown {
  const code = sqliteCode(error);
  if (code === undefined) return error;
  const words = messageOf(error);
  if (code === SQLITE.full) {
    const message = `the state folder's disk is full or its bound is reached (${words}): nothing was changed; free space, then try again`;
    return apiError(507, "InsufficientStorage", message);
  }
  return apiError(
    500,
    "InternalError",
    `the state could not be read or written (${words}): nothing was changed`,
  );
}

function checkIntegrity(db: DatabaseSync): void {
  const row = db.prepare("PRAGMA quick_check(1)").get();
  const verdict = row === undefined ? "no answer" : String(Object.values(row)[0]);
  if (verdict !== "ok") throw Object.assign(new Error(verdict), { errcode: SQLITE.corrupt });
}

function openingFailed(error: unknown, where: string): unknown {
  const code = sqliteCode(error);
  const words = messageOf(error);
  if (code === SQLITE.busy)
    return new WeirError({
      code: SERVER_ERRORS.stateLocked,
      source: "user",
      message: `the state folder ${where} is in use by another process: stop that one, or choose another folder`,
      cause: error,
    });
  if (code === SQLITE.corrupt || code === SQLITE.notADatabase)
    return corruptState(where, "weir.db", words, error);
  return new WeirError({
    code: SERVER_ERRORS.stateUnusable,
    source: "user",
    message: `the state folder ${where} cannot be used: ${words}`,
    cause: error,
  });
}

/** The error for a damaged file of the state folder, saying what to do. */
export function corruptState(dir: string, file: string, words: string, cause?: unknown): WeirError {
  return new WeirError({
    code: SERVER_ERRORS.stateCorrupt,
    source: "user",
    message:
      `${file} in the state folder ${dir} is damaged (${words}). Nothing was changed. ` +
      "Move the folder away to keep it, or delete it, and start again: applying your manifests rebuilds the state",
    cause,
    context: { dir, file },
  });
}

/** SQLite's primary result code; undefined for other errors. */
function sqliteCode(error: unknown): number | undefined {
  if (!isObject(error) || typeof error.errcode !== "number") return undefined;
  return error.errcode & 0xff;
}
