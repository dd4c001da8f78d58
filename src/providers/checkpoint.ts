// Where counting stood at an instant, as JSON: given to the store of the next leader, what the proxies report from then on goes on from there.
import { isObject } from "../lib/json.ts";
import type { MarkRecord, TrafficScope } from "./marks.ts";

/** Where the values of one process stood. */
export interface ProcessBaseline {
  readonly nodeId: string;
  readonly epoch: string;
  /** When it last reported. */
  readonly lastAtMs: number;
  /** By cluster, then `<route>/<counter>`. */
  readonly values: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

/** All that is known of one Service's clusters: the instants that windows begin at, and where each process stood. */
export interface TrafficCheckpoint {
  readonly scope: TrafficScope;
  readonly atMs: number;
  readonly marks: readonly MarkRecord[];
  /** Every process that had reported, also those without requests to these clusters. */
  readonly processes: readonly ProcessBaseline[];
  /** Whether some client reported increments only: what it reports to nobody is lost. */
  readonly hasIncrements: boolean;
}

/** Reads a checkpoint from JSON; undefined when it is damaged. */
export function readCheckpoint(value: unknown): TrafficCheckpoint | undefined {
  if (!isObject(value) || !isScope(value.scope) || !isCount(value.atMs)) return undefined;
  const { scope, atMs, marks, processes, hasIncrements } = value;
  if (!Array.isArray(marks) || !marks.every(isMark)) return undefined;
  if (!Array.isArray(processes) || !processes.every(isProcess)) return undefined;
  return { scope, atMs, marks, processes, hasIncrements: hasIncrements === true };
}

function isScope(value: unknown): value is TrafficScope {
  return isObject(value) && typeof value.namespace === "string" && typeof value.service === "string";
}

function isMark(value: unknown): value is MarkRecord {
  if (!isObject(value) || typeof value.name !== "string" || !isObject(value.counted)) return false;
  const isSums = (sums: unknown): boolean =>
    Array.isArray(sums) &&
    sums.every((one) => Array.isArray(one) && typeof one[0] === "string" && isCount(one[1]));
  return isCount(value.atMs) && isCount(value.fromMs) && Object.values(value.counted).every(isSums);
}

function isProcess(value: unknown): value is ProcessBaseline {
  if (!isObject(value) || typeof value.nodeId !== "string" || typeof value.epoch !== "string") return false;
  const isValues = (each: unknown): boolean => isObject(each) && Object.values(each).every(isCount);
  return isCount(value.lastAtMs) && isObject(value.values) && Object.values(value.values).every(isValues);
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value);
}
