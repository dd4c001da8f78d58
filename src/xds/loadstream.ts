// One load report stream of the server: says what to report and how often, then turns each message into a report.

import { create } from "@bufbuild/protobuf";
import { type ServerDuplexStream, status } from "@grpc/grpc-js";
import type { Clock } from "../lib/clock.ts";
import type { Node } from "./gen/envoy/config/core/v3/core_pb.ts";
import {
  type LoadStatsRequest,
  type LoadStatsResponse,
  LoadStatsResponseSchema,
} from "./gen/envoy/service/load_stats/v3/lrs_pb.ts";
import { clusterLoadOf, type LoadReport } from "./loads.ts";
import { durationOf } from "./messages.ts";
import { epochOf, userAgentOf } from "./nodes.ts";

export interface LoadStreamPorts {
  readonly clock: Clock;
  readonly intervalMs: number;
  take(report: LoadReport): void;
  left(): void;
}

/** Serves one stream until it ends. */
export function serveLoadReports(
  call: ServerDuplexStream<LoadStatsRequest, LoadStatsResponse>,
  { clock, intervalMs, take, left }: LoadStreamPorts,
): void {
  let node: Node | undefined;
  call.on("data", (request: LoadStatsRequest) => {
    if (node === undefined) {
      node = request.node;
      if (node === undefined || node.id === "") {
        const details = "the first report must say who reports: node.id and node.cluster";
        call.emit("error", Object.assign(new Error(details), { code: status.INVALID_ARGUMENT, details }));
        return;
      }
      const loadReportingInterval = durationOf(intervalMs);
      call.write(create(LoadStatsResponseSchema, { sendAllClusters: true, loadReportingInterval }));
    }
    if (request.clusterStats.length > 0) take(reportOf(node, request, clock.nowMs()));
  });
  call.on("end", () => {
    call.end();
    left();
  });
  // A node that goes away without a word: its next stream goes on with the same counts.
  call.on("error", left);
  call.on("close", left);
  call.on("cancelled", left);
}

function reportOf(node: Node, request: LoadStatsRequest, atMs: number): LoadReport {
  const epoch = epochOf(node);
  return {
    nodeId: node.id,
    group: node.cluster,
    userAgent: userAgentOf(node),
    atMs,
    clusters: request.clusterStats.map(clusterLoadOf),
    ...(epoch === undefined ? {} : { epoch }),
  };
}
