// The nodes that a server knows: one record per node id and group, alive as long as its stream and remembered a while longer, so that the
// publisher can tell a node that left from one that never was. Bounded; the longest gone are forgotten first.
import type { Node } from "./gen/envoy/config/core/v3/core_pb.ts";
import { RESOURCE_KINDS, type ResourceKind } from "./messages.ts";
import type { Session } from "./session.ts";

/** Disconnected nodes that are remembered, over all groups. */
export const MAX_GONE_NODES = 10_000;
/** Key in `node.metadata` under which weir's proxy names its process: a new one means that its counters began anew. */
export const EPOCH_KEY = "weir.dev/epoch";

/** What is known of one node. */
export interface NodeView {
  readonly id: string;
  readonly group: string;
  readonly connected: boolean;
  /** When the present (or last) stream was opened. */
  readonly connectedSinceMs: number;
  /** When it last said anything: a request, or the end of its stream. */
  readonly lastSeenMs: number;
  /** Name and version of the client's program, `envoy/1.40.0`; empty when it did not say. */
  readonly userAgent: string;
  readonly epoch?: string;
  /** Names of the route configurations that it takes. */
  readonly subscribedRoutes: readonly string[];
  /** Whether it had content from before when it connected. */
  readonly cameWithContent: boolean;
  /** Version last acknowledged, per kind; a kind without one is absent. */
  readonly acked: Readonly<Partial<Record<ResourceKind, string>>>;
  /** The highest publication of its group that it has in force: routes and all that they depend on. 0: none. */
  readonly ackedSeq: number;
  /** The rejection that stands, if any. */
  readonly nack?: {
    readonly kind: ResourceKind;
    readonly version: string;
    readonly message: string;
    readonly atMs: number;
  };
}

export interface NodeRecord {
  readonly id: string;
  readonly group: string;
  readonly userAgent: string;
  readonly epoch: string | undefined;
  readonly session: Session;
  readonly connectedSinceMs: number;
  lastSeenMs: number;
  isConnected: boolean;
}

/** Keeps records by group and id. */
export class NodeTable {
  readonly #groups = new Map<string, Map<string, NodeRecord>>();

  /** Replaces what was known under this id. */
  add(record: NodeRecord): NodeRecord | undefined {
    const group = this.#groups.get(record.group) ?? new Map<string, NodeRecord>();
    this.#groups.set(record.group, group);
    const before = group.get(record.id);
    // Deleted first so that insertion order is the order of connecting.
    group.delete(record.id);
    group.set(record.id, record);
    return before;
  }

  /** Marks a record as gone, unless a later stream of the node has taken its place; then false. */
  leave(record: NodeRecord, nowMs: number): boolean {
    record.isConnected = false;
    record.lastSeenMs = nowMs;
    if (this.#groups.get(record.group)?.get(record.id) !== record) return false;
    this.#forgetSome();
    return true;
  }

  /** Notes that a node said something on another stream. */
  touch(group: string, id: string, nowMs: number): void {
    const record = this.#groups.get(group)?.get(id);
    if (record !== undefined) record.lastSeenMs = nowMs;
  }

  views(group: string): readonly NodeView[] {
    return [...(this.#groups.get(group)?.values() ?? [])].map(viewOf);
  }

  groups(): readonly string[] {
    return [...this.#groups.keys()];
  }

  #forgetSome(): void {
    const gone = [...this.#groups.values()].flatMap((group) =>
      [...group.values()].filter((one) => !one.isConnected),
    );
    if (gone.length <= MAX_GONE_NODES) return;
    gone.sort((a, b) => a.lastSeenMs - b.lastSeenMs);
    for (const record of gone.slice(0, gone.length - MAX_GONE_NODES)) {
      const group = this.#groups.get(record.group);
      group?.delete(record.id);
      if (group?.size === 0) this.#groups.delete(record.group);
    }
  }
}

/** A copy of what a record says now. */
export function viewOf(record: NodeRecord): NodeView {
  const { session } = record;
  const acked: Partial<Record<ResourceKind, string>> = {};
  for (const kind of RESOURCE_KINDS) if (session.acked(kind) !== "") acked[kind] = session.acked(kind);
  const rejected = RESOURCE_KINDS.map((kind) => ({ kind, rejection: session.rejection(kind) })).find(
    ({ rejection }) => rejection !== undefined,
  );
  return {
    id: record.id,
    group: record.group,
    connected: record.isConnected,
    connectedSinceMs: record.connectedSinceMs,
    lastSeenMs: record.lastSeenMs,
    userAgent: record.userAgent,
    subscribedRoutes: session.subscribedRoutes,
    cameWithContent: session.cameWithContent,
    acked,
    ackedSeq: session.ackedSeq,
    ...(record.epoch === undefined ? {} : { epoch: record.epoch }),
    ...(rejected?.rejection === undefined ? {} : { nack: { kind: rejected.kind, ...rejected.rejection } }),
  };
}

/** Name and version of the client's program, as far as it says. */
export function userAgentOf(node: Node): string {
  const { userAgentVersionType: version } = node;
  if (version.case === "userAgentVersion") return `${node.userAgentName}/${version.value}`;
  return node.userAgentName;
}

/** The process epoch in the node's metadata. */
export function epochOf(node: Node): string | undefined {
  const epoch = node.metadata?.[EPOCH_KEY];
  return typeof epoch === "string" ? epoch : undefined;
}
