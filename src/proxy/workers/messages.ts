// What a supervisor and its workers say to each other, over the channel between parent and child process. Both run the same program, so that
// there is one version of it; what is not one of these is a bug of ours, and ends the worker. Bounds keep one message from holding others up.
import type { ResourceKind } from "../../xds/types.ts";
import type { Limits } from "../core.ts";
import type { FoundNames } from "../names.ts";

/** Bytes of resources in one message, unless a single one is larger. */
export const MAX_RESOURCE_BYTES = 1024 * 1024;
/** Cells and endpoints in one report; what did not fit is in the next. */
export const MAX_ROWS = 1_000;

/** A resource that configurations to come name by `id`. */
export interface NumberedResource {
  readonly id: number;
  readonly kind: ResourceKind;
  readonly bytes: Uint8Array;
}

/** Names an endpoint. */
export interface EndpointName {
  readonly cluster: string;
  readonly endpoint: string;
}

/** From the supervisor. */
export type Order =
  | {
      readonly kind: "start";
      readonly bootstrap: Uint8Array;
      readonly limits: Partial<Limits>;
      readonly isDynamic: boolean;
      readonly index: number;
      readonly count: number;
      readonly names: readonly FoundNames[];
    }
  | { readonly kind: "resources"; readonly resources: readonly NumberedResource[] }
  /** A whole configuration, of resources that were sent; others may be forgotten. Answered by a verdict. */
  | {
      readonly kind: "configure";
      readonly seq: number;
      readonly changed: ResourceKind;
      readonly versions: Readonly<Record<ResourceKind, string>>;
      readonly ids: Readonly<Record<ResourceKind, Float64Array>>;
    }
  /** What the names of a cluster lead to; the cluster may come only with the next configuration. */
  | ({ readonly kind: "found" } & FoundNames)
  | { readonly kind: "checked"; readonly results: readonly (EndpointName & { readonly isFailed: boolean })[] }
  | ({ readonly kind: "ejected"; readonly forMs: number } & EndpointName)
  | ({ readonly kind: "back" } & EndpointName)
  /** Answered by a report. */
  | { readonly kind: "count" }
  | { readonly kind: "reopen" }
  /** `closeInMs`: until the ports close. `isEnd`: and then end. */
  | { readonly kind: "drain"; readonly closeInMs: number; readonly isEnd: boolean }
  | { readonly kind: "hurry" };

/**
 * Cells that changed: names of those not reported before, values of all of them, row by row. Those that are `freed` are nobody's any more, or
 * another pair's, and then they have a new name here or in a later report.
 */
export interface CellRows {
  readonly freed: readonly number[];
  readonly indexes: readonly number[];
  readonly names: readonly { readonly index: number; readonly route: string; readonly cluster: string }[];
  readonly values: Float64Array;
}

export interface TallyRow {
  readonly family: string;
  readonly labels: readonly string[];
  readonly value: number;
}

/** Numbers of an endpoint in the order of ENDPOINT_NUMBERS (report.ts). */
export interface EndpointRow extends EndpointName {
  readonly numbers: readonly number[];
}

export interface ListenerRow {
  readonly name: string;
  readonly port: number;
  readonly connections: number;
}

/** Everything is cumulative since the worker began, or since the life of a cell, but for gauges. */
export interface Report {
  readonly kind: "report";
  readonly unready: string;
  readonly counts: Readonly<Record<string, number>>;
  readonly cells: CellRows;
  readonly tallies: readonly TallyRow[];
  readonly endpoints: readonly EndpointRow[];
  readonly listeners: readonly ListenerRow[];
}

export interface Refusal {
  readonly code: string;
  readonly message: string;
  readonly isTransient: boolean;
}

/** From a worker. */
export type News =
  /** It listens to orders. */
  | { readonly kind: "here" }
  | { readonly kind: "started"; readonly refusal: Refusal | null }
  | { readonly kind: "verdict"; readonly seq: number; readonly refusal: Refusal | null }
  | ({ readonly kind: "ejected"; readonly forMs: number } & EndpointName)
  | Report;
