// The formats in which objects leave the server: plain JSON, or the Tables that kubectl prints (columns by columns.ts).
import { apiVersionOf } from "../../api/api.ts";
import { type Column, columnsOf } from "./columns.ts";
import type { Kind } from "./kinds.ts";
import type { Query } from "./query.ts";
import { parsed, type Stored } from "./store.ts";
import type { EventFormat } from "./watch.ts";

export interface Shown {
  readonly texts: readonly string[];
  readonly version: string;
  /** Default: only the version. */
  readonly metadata?: Readonly<Record<string, unknown>>;
}

const TABLE = { kind: "Table", apiVersion: "meta.k8s.io/v1" } as const;
const INITIAL_END = { "k8s.io/initial-events-end": "true" } as const;

/** Whether the Accept header prefers a Table of version v1 over plain JSON. */
export function isTableWanted(accept: string): boolean {
  const first = accept.split(",").find((type) => /application\/json/.test(type)) ?? "";
  return /;\s*as=Table/.test(first) && /;\s*v=v1(;|$)/.test(first) && /;\s*g=meta\.k8s\.io/.test(first);
}

/** A list as Table. */
export function tableText(
  kind: Kind,
  shown: Shown,
  includeObject: Query["includeObject"],
  nowMs: number,
): string {
  const columns = columnsOf(kind);
  return JSON.stringify({
    ...TABLE,
    metadata: shown.metadata ?? { resourceVersion: shown.version },
    columnDefinitions: columns.map(definitionOf),
    rows: shown.texts.map((text) => rowOf(columns, parsed(text), includeObject, nowMs)),
  });
}

/** Events as `{type, object}` around the object's own text. */
export function jsonFormat(kind: Kind): EventFormat {
  return {
    key: "json",
    event: (type, _object, text) => `{"type":"${type}","object":${text}}`,
    bookmark: (version, isInitialEnd) =>
      JSON.stringify({
        kind: kind.type.kind,
        apiVersion: apiVersionOf(kind.type),
        metadata: { resourceVersion: String(version), ...(isInitialEnd ? { annotations: INITIAL_END } : {}) },
      }),
  };
}

/** Events as Tables of one row; the columns are told with the first event only. */
export function tableFormat(
  kind: Kind,
  includeObject: Query["includeObject"],
  nowMs: () => number,
): EventFormat {
  const columns = columnsOf(kind);
  let isFirst = true;
  const table = (version: string, rows: readonly unknown[], annotations?: object): string => {
    const columnDefinitions = isFirst ? columns.map(definitionOf) : null;
    isFirst = false;
    const metadata = { resourceVersion: version, ...(annotations === undefined ? {} : { annotations }) };
    return JSON.stringify({ ...TABLE, metadata, columnDefinitions, rows });
  };
  return {
    // The first event differs per watcher, so that tables are not shared.
    key: undefined,
    event: (type, object, text) => {
      const row = rowOf(columns, { object, text }, includeObject, nowMs());
      return `{"type":"${type}","object":${table(object.metadata.resourceVersion ?? "", [row])}}`;
    },
    bookmark: (version, isInitialEnd) => table(String(version), [], isInitialEnd ? INITIAL_END : undefined),
  };
}

function definitionOf({ name, type, format, description, priority }: Column): unknown {
  return { name, type, format, description, priority };
}

function rowOf(
  columns: readonly Column[],
  { object }: Stored,
  includeObject: Query["includeObject"],
  nowMs: number,
): unknown {
  const cells = columns.map((column) => column.cell(object, nowMs));
  if (includeObject === "Object") return { cells, object };
  if (includeObject === "None") return { cells, object: null };
  const partial = { kind: "PartialObjectMetadata", apiVersion: "meta.k8s.io/v1", metadata: object.metadata };
  return { cells, object: partial };
}
