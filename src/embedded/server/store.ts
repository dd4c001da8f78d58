// The objects, their owners and the history of their changes in SQLite, under one resourceVersion sequence.
// It knows nothing of kinds' rules. Changes are told to the listener after their transaction is committed, in order.
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { KubeObject } from "../../api/api.ts";
import { storageFailed } from "./database.ts";
import type { Kind } from "./kinds.ts";
import { selectablyDiffers } from "./selectors.ts";

/** Changes kept at least for watches that continue; older resourceVersions are answered with 410. */
export const HISTORY_CHANGES = 8192;

export interface Stored {
  readonly object: KubeObject;
  /** The object as JSON text, as clients receive it. */
  readonly text: string;
}

export interface Change {
  readonly version: number;
  /** Kind.id */
  readonly kind: string;
  /** Empty for cluster-scoped objects. */
  readonly namespace: string;
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly object: KubeObject;
  readonly text: string;
  /** The state before, where it may answer a selector differently; undefined: it answered as `object` does. */
  readonly previous: KubeObject | undefined;
}

/** Where an object is. */
export interface Place {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

export interface Store {
  get(kind: Kind, namespace: string, name: string): Stored | undefined;
  /** JSON texts in order of namespace and name; of all namespaces when `namespace` is undefined. */
  list(kind: Kind, namespace: string | undefined): readonly string[];
  /** Writes a new state under the next resourceVersion and returns it. */
  put(kind: Kind, object: KubeObject, previous: KubeObject | undefined): Stored;
  /** Removes the object; watchers get `last` under the next resourceVersion. */
  remove(kind: Kind, last: KubeObject): Stored;
  placeOf(uid: string): Place | undefined;
  /** Objects that name `uid` as an owner. */
  dependentsOf(uid: string): readonly Place[];
  /** Objects with an owner that does not exist. */
  withMissingOwner(): readonly Place[];
  inNamespace(namespace: string): readonly Place[];
  /** Objects of a kind in a namespace other than the `keep` written last. */
  beyondNewest(kind: Kind, namespace: string, keep: number): readonly Place[];
  /** Objects of a kind last written before an instant. */
  writtenBefore(kind: Kind, beforeMs: number): readonly Place[];
  /** Runs `work` atomically; with `isDryRun` everything it wrote is undone. Not to be nested. */
  transaction<T>(isDryRun: boolean, work: () => T): T;
  /** The resourceVersion of the newest change. */
  version(): number;
  /** Watches can continue from here on. */
  oldestVersion(): number;
  /** Changes of a kind after `version`, oldest first. */
  changesAfter(kind: Kind, version: number): readonly Change[];
}

export interface StoreOptions {
  readonly db: DatabaseSync;
  readonly nowMs: () => number;
  /** Default HISTORY_CHANGES. */
  readonly historyChanges?: number;
  readonly onChange: (change: Change) => void;
}

/** Builds the store over an open database. */
export function createStore({ db, nowMs, onChange, ...options }: StoreOptions): Store {
  const sql = prepare(db);
  const journal = createJournal(sql, options.historyChanges ?? HISTORY_CHANGES);

  const put = (kind: Kind, object: KubeObject, previous: KubeObject | undefined): Stored => {
    const stored = journal.record(kind, previous === undefined ? "ADDED" : "MODIFIED", object, previous);
    const { namespace = "", name, uid = "" } = object.metadata;
    const version = journal.version();
    if (previous === undefined) sql.insert.run(kind.id, namespace, name, uid, version, nowMs(), stored.text);
    else sql.update.run(version, nowMs(), stored.text, kind.id, namespace, name);
    const owners = ownersOf(object);
    if (owners !== (previous === undefined ? "" : ownersOf(previous))) {
      sql.disown.run(kind.id, namespace, name);
      for (const owner of object.metadata.ownerReferences ?? [])
        sql.own.run(owner.uid, kind.id, namespace, name);
    }
    return stored;
  };

  const remove = (kind: Kind, last: KubeObject): Stored => {
    const { namespace = "", name } = last.metadata;
    sql.delete.run(kind.id, namespace, name);
    sql.disown.run(kind.id, namespace, name);
    return journal.record(kind, "DELETED", last);
  };

  const transaction = <T>(isDryRun: boolean, work: () => T): T => {
    const undo = (): void => {
      rollBack(db, sql);
      journal.undo();
    };
    let result: T;
    journal.begin(isDryRun);
    try {
      sql.begin.run();
      result = work();
      if (isDryRun) undo();
      else sql.commit.run();
    } catch (error) {
      undo();
      throw storageFailed(error);
    }
    for (const change of journal.takeRecorded()) onChange(change);
    return result;
  };

  return { ...createReads(sql), put, remove, transaction, version: () => journal.version() };
}

/** Gives every change its version, writes it into the history, and keeps it until its transaction is over. */
interface Journal {
  version(): number;
  /** What is only tried gets no version of its own. */
  begin(isTrial: boolean): void;
  record(kind: Kind, type: Change["type"], object: KubeObject, previous?: KubeObject): Stored;
  /** Forgets what was recorded since `begin`. */
  undo(): void;
  takeRecorded(): readonly Change[];
}

function createJournal(sql: Statements, historyChanges: number): Journal {
  // The history is cut back now and then, not with each change.
  const cutEvery = Math.ceil(historyChanges / 16);
  let version = numberOf(sql.newest.get()?.version);
  let versionBefore = version;
  let recorded: Change[] = [];
  let isTrial = false;
  return {
    version: () => version,
    begin(isOnlyTried) {
      isTrial = isOnlyTried;
      versionBefore = version;
    },
    record(kind, type, object, previous) {
      version += 1;
      const resourceVersion = isTrial ? object.metadata.resourceVersion : String(version);
      const { resourceVersion: _, ...metadata } = object.metadata;
      const stamped = {
        ...object,
        metadata: resourceVersion === undefined ? metadata : { ...metadata, resourceVersion },
      };
      const text = JSON.stringify(stamped);
      const namespace = object.metadata.namespace ?? "";
      const before =
        previous !== undefined && selectablyDiffers(kind, previous, object) ? previous : undefined;
      const beforeText = before === undefined ? null : JSON.stringify(before);
      sql.remember.run(version, kind.id, namespace, type, text, beforeText);
      if (version % cutEvery === 0) sql.forget.run(version - historyChanges);
      recorded.push({ version, kind: kind.id, namespace, type, object: stamped, text, previous: before });
      return { object: stamped, text };
    },
    undo() {
      version = versionBefore;
      recorded = [];
    },
    takeRecorded() {
      const taken = recorded;
      recorded = [];
      return taken;
    },
  };
}

function createReads(sql: Statements): Omit<Store, "put" | "remove" | "transaction" | "version"> {
  return {
    get: (kind, namespace, name) => {
      const row = sql.get.get(kind.id, namespace, name);
      return row === undefined ? undefined : parsed(textOf(row.body));
    },
    list: (kind, namespace) => {
      const rows = namespace === undefined ? sql.listAll.all(kind.id) : sql.list.all(kind.id, namespace);
      return rows.map((row) => textOf(row.body));
    },
    placeOf: (uid) => sql.byUid.all(uid).map(placeOfRow)[0],
    dependentsOf: (uid) => sql.dependents.all(uid).map(placeOfRow),
    withMissingOwner: () => sql.orphans.all().map(placeOfRow),
    inNamespace: (namespace) => sql.inNamespace.all(namespace).map(placeOfRow),
    beyondNewest: (kind, namespace, keep) => sql.surplus.all(kind.id, namespace, keep).map(placeOfRow),
    writtenBefore: (kind, beforeMs) => sql.aged.all(kind.id, beforeMs).map(placeOfRow),
    oldestVersion: () => numberOf(sql.oldest.get()?.version ?? 1) - 1,
    changesAfter: (kind, after) => sql.changes.all(after, kind.id).map(changeOfRow),
  };
}

type Statements = ReturnType<typeof prepare>;

function prepare(db: DatabaseSync) {
  const statement = (text: string): StatementSync => db.prepare(text);
  return {
    begin: statement("BEGIN IMMEDIATE"),
    commit: statement("COMMIT"),
    rollback: statement("ROLLBACK"),
    get: statement("SELECT body FROM objects WHERE kind = ? AND namespace = ? AND name = ?"),
    list: statement("SELECT body FROM objects WHERE kind = ? AND namespace = ? ORDER BY name"),
    listAll: statement("SELECT body FROM objects WHERE kind = ? ORDER BY namespace, name"),
    insert: statement(
      "INSERT INTO objects (kind, namespace, name, uid, version, written_at, body) VALUES (?, ?, ?, ?, ?, ?, ?)",
    ),
    update: statement(
      "UPDATE objects SET version = ?, written_at = ?, body = ? WHERE kind = ? AND namespace = ? AND name = ?",
    ),
    delete: statement("DELETE FROM objects WHERE kind = ? AND namespace = ? AND name = ?"),
    own: statement("INSERT OR IGNORE INTO owners (owner_uid, kind, namespace, name) VALUES (?, ?, ?, ?)"),
    disown: statement("DELETE FROM owners WHERE kind = ? AND namespace = ? AND name = ?"),
    byUid: statement("SELECT kind, namespace, name FROM objects WHERE uid = ?"),
    dependents: statement("SELECT kind, namespace, name FROM owners WHERE owner_uid = ?"),
    orphans: statement(
      "SELECT DISTINCT o.kind, o.namespace, o.name FROM owners o LEFT JOIN objects p ON p.uid = o.owner_uid WHERE p.uid IS NULL",
    ),
    inNamespace: statement("SELECT kind, namespace, name FROM objects WHERE namespace = ?"),
    surplus: statement(
      "SELECT kind, namespace, name FROM objects WHERE kind = ? AND namespace = ? ORDER BY version DESC LIMIT -1 OFFSET ?",
    ),
    aged: statement("SELECT kind, namespace, name FROM objects WHERE kind = ? AND written_at < ?"),
    remember: statement(
      "INSERT INTO history (version, kind, namespace, type, body, previous) VALUES (?, ?, ?, ?, ?, ?)",
    ),
    forget: statement("DELETE FROM history WHERE version <= ?"),
    newest: statement("SELECT coalesce(max(version), 0) AS version FROM history"),
    oldest: statement("SELECT min(version) AS version FROM history"),
    changes: statement(
      "SELECT version, kind, namespace, type, body, previous FROM history WHERE version > ? AND kind = ? ORDER BY version",
    ),
  };
}

function rollBack(db: DatabaseSync, sql: Statements): void {
  // A full disk or a failed commit may have ended the transaction already.
  if (db.isTransaction) sql.rollback.run();
}

function ownersOf(object: KubeObject): string {
  return (object.metadata.ownerReferences ?? []).map((owner) => owner.uid).join(" ");
}

/** Texts in the database were written by `put`, so they hold objects. */
export function parsed(text: string): Stored {
  return { object: JSON.parse(text) as KubeObject, text };
}

function placeOfRow(row: Readonly<Record<string, unknown>>): Place {
  return { kind: textOf(row.kind), namespace: textOf(row.namespace), name: textOf(row.name) };
}

function changeOfRow(row: Readonly<Record<string, unknown>>): Change {
  const type = textOf(row.type);
  const stored = parsed(textOf(row.body));
  return {
    version: numberOf(row.version),
    kind: textOf(row.kind),
    namespace: textOf(row.namespace),
    type: type === "ADDED" || type === "DELETED" ? type : "MODIFIED",
    object: stored.object,
    text: stored.text,
    previous: row.previous === null ? undefined : parsed(textOf(row.previous)).object,
  };
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function numberOf(value: unknown): number {
  return typeof value === "number" ? value : 0;
}
