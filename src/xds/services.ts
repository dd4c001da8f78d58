// The two gRPC services of the wire, with our own codec: method tables for @grpc/grpc-js, no generated stubs.
import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import type { MethodDefinition } from "@grpc/grpc-js";
import {
  type DiscoveryRequest,
  DiscoveryRequestSchema,
  type DiscoveryResponse,
  DiscoveryResponseSchema,
} from "./gen/envoy/service/discovery/v3/discovery_pb.ts";
import {
  type LoadStatsRequest,
  LoadStatsRequestSchema,
  type LoadStatsResponse,
  LoadStatsResponseSchema,
} from "./gen/envoy/service/load_stats/v3/lrs_pb.ts";

interface Codec<Value> {
  readonly serialize: (value: Value) => Buffer;
  readonly deserialize: (bytes: Buffer) => Value;
}

function codec<Desc extends DescMessage>(schema: Desc): Codec<MessageShape<Desc>> {
  return {
    serialize: (value) => {
      const bytes = toBinary(schema, value);
      return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    },
    deserialize: (bytes) => fromBinary(schema, bytes),
  };
}

function streamMethod<Request, Response>(
  path: string,
  request: Codec<Request>,
  response: Codec<Response>,
): MethodDefinition<Request, Response> {
  return {
    path,
    requestStream: true,
    responseStream: true,
    requestSerialize: request.serialize,
    requestDeserialize: request.deserialize,
    responseSerialize: response.serialize,
    responseDeserialize: response.deserialize,
  };
}

/** Aggregated discovery, state of the world. */
export const DISCOVERY: {
  readonly StreamAggregatedResources: MethodDefinition<DiscoveryRequest, DiscoveryResponse>;
} = {
  StreamAggregatedResources: streamMethod(
    "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources",
    codec(DiscoveryRequestSchema),
    codec(DiscoveryResponseSchema),
  ),
};

/** Load reports. */
export const LOAD_REPORTING: {
  readonly StreamLoadStats: MethodDefinition<LoadStatsRequest, LoadStatsResponse>;
} = {
  StreamLoadStats: streamMethod(
    "/envoy.service.load_stats.v3.LoadReportingService/StreamLoadStats",
    codec(LoadStatsRequestSchema),
    codec(LoadStatsResponseSchema),
  ),
};
