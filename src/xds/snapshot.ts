// A snapshot made ready for sending: every resource encoded once, with the hash of its content and the names it refers to; and the
// proof that a snapshot is consistent (make before break can only be kept when nothing points into the void). Pure.
import { createHash } from "node:crypto";
import type { DescMessage, Message, MessageShape } from "@bufbuild/protobuf";
import { create, isMessage, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { type Any, AnySchema } from "@bufbuild/protobuf/wkt";
import { WeirError } from "../lib/errors.ts";
import {
  type Cluster,
  Cluster_DiscoveryType,
  ClusterSchema,
} from "./gen/envoy/config/cluster/v3/cluster_pb.ts";
import { ClusterLoadAssignmentSchema } from "./gen/envoy/config/endpoint/v3/endpoint_pb.ts";
import { type Listener, ListenerSchema } from "./gen/envoy/config/listener/v3/listener_pb.ts";
import {
  type RouteAction,
  type RouteConfiguration,
  RouteConfigurationSchema,
  type VirtualHost,
  VirtualHostSchema,
} from "./gen/envoy/config/route/v3/route_pb.ts";
import { HttpConnectionManagerSchema } from "./gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts";
import { type ResourceKind, TYPE_URLS, unpack, type XdsSnapshot } from "./messages.ts";

/** Code of a snapshot that names what it does not hold. */
export const SNAPSHOT_INCONSISTENT = "WEIR_ERR_XDS_SNAPSHOT";

/** One resource, encoded. */
export interface Entry {
  readonly name: string;
  readonly hash: string;
  readonly any: Any;
  /** What it depends on: a cluster on its assignment, a listener on its routes, a route configuration on its clusters. */
  readonly refersTo: readonly string[];
}

export type Entries = ReadonlyMap<string, Entry>;

/** A snapshot as it was published: `seq` counts up per group. */
export interface Publication {
  readonly seq: number;
  readonly entries: Readonly<Record<ResourceKind, Entries>>;
  /** Per kind, the hash of the whole content. */
  readonly versions: Readonly<Record<ResourceKind, string>>;
}

export const NO_ENTRIES: Entries = new Map();

/** Encodes and checks a snapshot. Throws SNAPSHOT_INCONSISTENT, naming everything that is wrong. */
export function publicationOf(seq: number, snapshot: XdsSnapshot): Publication {
  const entries = {
    clusters: encode("clusters", ClusterSchema, snapshot.clusters, (item) => item.name, assignmentsOf),
    endpoints: encode(
      "endpoints",
      ClusterLoadAssignmentSchema,
      snapshot.endpoints,
      (item) => item.clusterName,
      () => [],
    ),
    listeners: encode("listeners", ListenerSchema, snapshot.listeners, (item) => item.name, routesOf),
    routes: encode("routes", RouteConfigurationSchema, snapshot.routes, (item) => item.name, clustersOf),
  };
  const wrong = [
    ...missing("cluster", entries.clusters, "load assignment", entries.endpoints),
    ...unused("load assignment", entries.endpoints, "cluster", entries.clusters),
    ...missing("listener", entries.listeners, "route configuration", entries.routes),
    ...unused("route configuration", entries.routes, "listener", entries.listeners),
    ...missing("route configuration", entries.routes, "cluster", entries.clusters),
  ];
  if (wrong.length > 0) throw inconsistent(wrong);
  const versions = {
    clusters: versionOf(entries.clusters),
    endpoints: versionOf(entries.endpoints),
    listeners: versionOf(entries.listeners),
    routes: versionOf(entries.routes),
  };
  return { seq, entries, versions };
}

/** Says of a cluster's assignment that it has no endpoints. */
export function emptyAssignment(name: string): Entry {
  const empty = create(ClusterLoadAssignmentSchema, { clusterName: name });
  const [entry] = encode(
    "endpoints",
    ClusterLoadAssignmentSchema,
    [empty],
    () => name,
    () => [],
  ).values();
  if (entry === undefined) throw new TypeError("one resource makes one entry");
  return entry;
}

/** The version of a set of resources: a hash of their names and content, whatever their order. */
export function versionOf(entries: Entries): string {
  const hash = createHash("sha256");
  for (const name of [...entries.keys()].sort()) hash.update(`${name}\0${entries.get(name)?.hash}\n`);
  return hash.digest("hex").slice(0, 16);
}

function encode<Desc extends DescMessage>(
  kind: ResourceKind,
  schema: Desc,
  items: readonly MessageShape<Desc>[],
  nameOf: (item: MessageShape<Desc>) => string,
  refersTo: (item: MessageShape<Desc>) => readonly string[],
): Entries {
  const entries = new Map<string, Entry>();
  for (const item of items) {
    const name = nameOf(item);
    if (name === "" || entries.has(name))
      throw inconsistent([name === "" ? `${kind}: one has no name` : `${kind}: two are named ${name}`]);
    let entry = encoded.get(item);
    if (entry === undefined) {
      const value = bytesOf(schema, item);
      const hash = createHash("sha256").update(value).digest("hex").slice(0, 16);
      const any = create(AnySchema, { typeUrl: TYPE_URLS[kind], value });
      entry = { name, hash, any, refersTo: [...new Set(refersTo(item))] };
      encoded.set(item, entry);
    }
    entries.set(name, entry);
  }
  return entries;
}

/** Entries by message: one that comes again, the very same object, is not encoded again. Nobody changes a message that was published. */
const encoded = new WeakMap<Message, Entry>();
/** Virtual hosts are most of a route configuration, and of them most stay as they were. */
const encodedHosts = new WeakMap<VirtualHost, Uint8Array>();

function bytesOf<Desc extends DescMessage>(schema: Desc, item: MessageShape<Desc>): Uint8Array<ArrayBuffer> {
  if (!isMessage(item, RouteConfigurationSchema)) return toBinary(schema, item);
  // Fields may come in any order: all others first, then the hosts one by one, as one message would hold them.
  const writer = new BinaryWriter();
  writer.raw(toBinary(RouteConfigurationSchema, { ...item, virtualHosts: [] }));
  for (const host of item.virtualHosts) {
    const bytes = encodedHosts.get(host) ?? toBinary(VirtualHostSchema, host);
    encodedHosts.set(host, bytes);
    writer.tag(RouteConfigurationSchema.field.virtualHosts.number, WireType.LengthDelimited).bytes(bytes);
  }
  return writer.finish();
}

/** The assignment that an EDS cluster waits for. */
function assignmentsOf(cluster: Cluster): readonly string[] {
  const { clusterDiscoveryType: type } = cluster;
  if (type.case !== "type" || type.value !== Cluster_DiscoveryType.EDS) return [];
  return [cluster.edsClusterConfig?.serviceName || cluster.name];
}

/** The route configurations that a listener fetches. */
export function routesOf(listener: Listener): readonly string[] {
  const names: string[] = [];
  const chains = [
    ...listener.filterChains,
    ...(listener.defaultFilterChain ? [listener.defaultFilterChain] : []),
  ];
  const filters = chains.flatMap((chain) => chain.filters.map((filter) => filter.configType.value));
  for (const any of [...filters, listener.apiListener?.apiListener]) {
    const source = unpack(HttpConnectionManagerSchema, any)?.routeSpecifier;
    if (source?.case === "rds") names.push(source.value.routeConfigName);
  }
  return names;
}

/** The clusters that a route configuration names, mirrors included. */
export function clustersOf(configuration: RouteConfiguration): readonly string[] {
  const names = configuration.requestMirrorPolicies.map((policy) => policy.cluster);
  for (const host of configuration.virtualHosts) {
    names.push(...host.requestMirrorPolicies.map((policy) => policy.cluster));
    for (const { action } of host.routes) if (action.case === "route") names.push(...targetsOf(action.value));
  }
  return names.filter((name) => name !== "");
}

function targetsOf(action: RouteAction): readonly string[] {
  const mirrors = action.requestMirrorPolicies.map((policy) => policy.cluster);
  const { clusterSpecifier: target } = action;
  if (target.case === "cluster") return [target.value, ...mirrors];
  if (target.case === "weightedClusters")
    return [...target.value.clusters.map((cluster) => cluster.name), ...mirrors];
  return mirrors;
}

function missing(what: string, from: Entries, needed: string, among: Entries): string[] {
  return [...from.values()].flatMap(({ name, refersTo }) =>
    refersTo
      .filter((target) => !among.has(target))
      .map((target) => `${what} ${name} names ${needed} ${target}, which is not there`),
  );
}

function unused(what: string, among: Entries, user: string, from: Entries): string[] {
  const used = new Set([...from.values()].flatMap(({ refersTo }) => refersTo));
  return [...among.keys()].filter((name) => !used.has(name)).map((name) => `${what} ${name} has no ${user}`);
}

function inconsistent(wrong: readonly string[]): WeirError {
  return new WeirError({
    code: SNAPSHOT_INCONSISTENT,
    message: `the xDS snapshot is not consistent: ${wrong.join("; ")}. It was not published; the one before stays in force.`,
  });
}
