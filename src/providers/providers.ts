// The door of providers/: what a metric provider is, and the table of those that exist. A provider measures; when to measure, and
// what the counts of measurements mean, is decided in analysis/.
import { type Metric, type MetricProvider, WEIR_TRAFFIC_METRIC } from "../api/api.ts";
import { createTrafficProvider } from "./traffic.ts";
import type { TrafficReader } from "./trafficstore.ts";

export { readCheckpoint, type TrafficCheckpoint } from "./checkpoint.ts";
export { type LatencyHistogram, quantileMs } from "./histogram.ts";
export type { TrafficScope } from "./marks.ts";
export { RING_SECONDS, type TrafficCounts } from "./series.ts";
export {
  MAX_PROCESSES,
  MAX_SERIES,
  RETURN_GRACE_MS,
  type TrafficQuery,
  type TrafficReader,
  type TrafficReport,
  TrafficStore,
  type TrafficWindow,
} from "./trafficstore.ts";

/** What came of a measurement. Running: resume it at `resumeAtMs`. */
export interface Outcome {
  readonly phase: "Running" | "Successful" | "Failed" | "Inconclusive" | "Error";
  readonly value?: string;
  readonly message?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly resumeAtMs?: number;
}

/** What a measurement is about. */
export interface MeasureContext {
  readonly namespace: string;
  /** The stable Service of the Rollout, which the proxies' clusters are named for. */
  readonly service?: string;
  readonly podHashes: { readonly canary?: string; readonly stable?: string };
  readonly runStartedAtMs: number;
  /** When the Rollout's current step began. */
  readonly stepStartedAtMs?: number;
  /** Marks of the traffic counts that stand for these two instants. */
  readonly marks?: { readonly step?: string; readonly run?: string };
  readonly nowMs: number;
  /** Kept by the measurement that is resumed. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** The metric's conditions over a result. */
  readonly evaluate: (result: number) => {
    readonly phase: "Successful" | "Failed" | "Inconclusive" | "Error";
    readonly message?: string;
  };
}

export interface Provider {
  /** Starts or resumes. Never rejects for a failed query: that is an outcome of phase Error. Ends early when `signal` aborts. */
  measure(settings: unknown, context: MeasureContext, signal: AbortSignal): Promise<Outcome>;
  /** Ends an open measurement of a run that is ending. */
  terminate(settings: unknown, context: MeasureContext, signal: AbortSignal): Promise<Outcome>;
}

export interface ProviderSources {
  readonly traffic: TrafficReader;
}

export type FoundProvider =
  | { readonly kind: "found"; readonly name: string; readonly provider: Provider; readonly settings: unknown }
  /** A provider of Argo's that weir does not carry out, or an unknown plugin. */
  | { readonly kind: "unsupported"; readonly message: string };

export type ProviderTable = Readonly<Record<string, Provider>>;

/** All providers by name: the field of `provider`, or the plugin's own name. */
export function createProviders(sources: ProviderSources): ProviderTable {
  return { [WEIR_TRAFFIC_METRIC]: createTrafficProvider(sources.traffic) };
}

/** The provider of a metric whose arguments have been replaced. */
export function findProvider(table: ProviderTable, metric: Metric): FoundProvider {
  const { name, settings } = providerEntry(metric.provider);
  const provider = Object.hasOwn(table, name) ? table[name] : undefined;
  if (provider !== undefined) return { kind: "found", name, provider, settings };
  return {
    kind: "unsupported",
    message: `metric '${metric.name}': provider ${name} is not carried out yet: use ${Object.keys(table).join(", ")}`,
  };
}

function providerEntry(provider: MetricProvider): { readonly name: string; readonly settings: unknown } {
  const { plugin, ...others } = provider;
  const [entry] = Object.entries(plugin ?? others).filter(([, settings]) => settings !== undefined);
  return { name: entry?.[0] ?? "none", settings: entry?.[1] };
}
