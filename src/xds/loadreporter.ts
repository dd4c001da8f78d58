// Reports the proxy's load over a stream of its own, at the interval that the server asks for. Values are cumulative since the process
// began: a report that gets lost is made good by the next one.

import type { MessageInitShape } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import { type Client, type ClientDuplexStream, type ServiceError, status } from "@grpc/grpc-js";
import { backoffMs } from "../lib/backoff.ts";
import type { Clock, Timer } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import type { Node } from "./gen/envoy/config/core/v3/core_pb.ts";
import type { ClusterStatsSchema } from "./gen/envoy/config/endpoint/v3/endpoint_pb.ts";
import {
  type LoadStatsRequest,
  LoadStatsRequestSchema,
  type LoadStatsResponse,
} from "./gen/envoy/service/load_stats/v3/lrs_pb.ts";
import { WEIR_METRIC_PREFIX } from "./loads.ts";
import { durationMs, durationOf } from "./messages.ts";
import { LOAD_REPORTING } from "./services.ts";

/** What a proxy has counted for one cluster since its process began. */
export interface LoadSample {
  readonly cluster: string;
  /** Names `<route>/<counter>`, without the prefix; values only ever grow, until `<route>/life` is a greater one. */
  readonly metrics: Iterable<readonly [name: string, value: number]>;
  /** Requests in progress now. */
  readonly inProgress?: number;
}

/** Shortest interval that a server may ask for. */
const MIN_INTERVAL_MS = 100;
const RETRY = { baseMs: 500, maxMs: 10_000 };
/** Reports that may wait to be sent; further ones are skipped: their counts are in the next. */
const MAX_UNSENT = 8;

export interface ReporterPorts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
  readonly node: Node;
  readonly source: () => readonly LoadSample[];
}

/** Reports over `client` until the returned function is called. */
export function startLoadReports(client: Client, ports: ReporterPorts): () => void {
  const { clock, log } = ports;
  let call: ClientDuplexStream<LoadStatsRequest, LoadStatsResponse> | undefined;
  let timer: Timer | undefined;
  let isStopped = false;
  let attempt = 0;

  const open = (): void => {
    const { path, requestSerialize, responseDeserialize } = LOAD_REPORTING.StreamLoadStats;
    const opened = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
    call = opened;
    opened.on("data", (response: LoadStatsResponse) => {
      attempt = 0;
      timer?.cancel();
      report(Math.max(MIN_INTERVAL_MS, durationMs(response.loadReportingInterval) ?? 1_000));
    });
    opened.on("error", (error: ServiceError) => retry(opened, error));
    opened.on("end", () => retry(opened));
    opened.write(create(LoadStatsRequestSchema, { node: ports.node }));
  };
  const report = (intervalMs: number): void => {
    if (call !== undefined && call.writableLength < MAX_UNSENT)
      call.write(
        create(LoadStatsRequestSchema, {
          clusterStats: ports.source().map((one) => statsOf(one, intervalMs)),
        }),
      );
    timer = clock.after(intervalMs, () => report(intervalMs));
  };
  const retry = (ended: typeof call, error?: ServiceError): void => {
    if (isStopped || call !== ended) return;
    call = undefined;
    timer?.cancel();
    if (error?.code === status.UNIMPLEMENTED) {
      log.warn("the control plane takes no load reports");
      return;
    }
    timer = clock.after(backoffMs(attempt, { ...RETRY, random: ports.random }), open);
    attempt += 1;
  };

  open();
  return () => {
    isStopped = true;
    timer?.cancel();
    call?.cancel();
    call = undefined;
  };
}

function statsOf(sample: LoadSample, intervalMs: number): MessageInitShape<typeof ClusterStatsSchema> {
  const loadMetricStats = [...sample.metrics].map(([name, totalMetricValue]) => ({
    metricName: WEIR_METRIC_PREFIX + name,
    totalMetricValue,
  }));
  const totalRequestsInProgress = BigInt(sample.inProgress ?? 0);
  return {
    clusterName: sample.cluster,
    loadReportInterval: durationOf(intervalMs),
    upstreamLocalityStats: [{ locality: {}, totalRequestsInProgress, loadMetricStats }],
  };
}
