// The client of a Kubernetes-shaped API, as the rest of weir sees it: interfaces here, made by createClusterClient over a Transport.
// Objects come and go as raw JSON, so that fields that weir does not know survive. Failures are WeirErrors with the codes below.
import type { KubeObject, ResourceType } from "../api/api.ts";

export { type ApplyOptions, type ApplyResult, applyObject } from "./apply.ts";
export { type ClusterConnection, type ConnectOptions, connectCluster } from "./connect.ts";
export { CLUSTER_ERRORS, statusOf } from "./errors.ts";
export {
  createEventRecorder,
  type EventRecorder,
  type EventSubject,
  type RecordEvent,
  subjectOf,
} from "./events.ts";
export { type Eviction, evictPod } from "./evict.ts";
export { createLeaderElection, type LeaderElection, type LeaderElectionOptions } from "./lease.ts";
export { createReflector, type Reflector, type ReflectorOptions } from "./reflector.ts";
export { type ClusterClientOptions, createClusterClient, FIELD_MANAGER } from "./rest.ts";
export type { ObjectStore, StoreEvent, StoreListener } from "./store.ts";
export { createWorkQueue, type WorkQueue, type WorkQueueOptions, type WorkResult } from "./workqueue.ts";

/** One HTTP exchange with the API server. Two implementations: sockets (undici), and the embedded server's handler in process. */
export interface Transport {
  request(request: TransportRequest): Promise<TransportResponse>;
  close(): Promise<void>;
}

export interface TransportRequest {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Path and query. */
  readonly path: string;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Ends the exchange, a running watch as well. */
  readonly signal?: AbortSignal;
}

export interface TransportResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: AsyncIterable<Uint8Array>;
}

export interface ObjectRef {
  /** Left out for cluster-scoped kinds. */
  readonly namespace?: string;
  readonly name: string;
}

export interface ListOptions {
  /** All namespaces when absent. */
  readonly namespace?: string;
  /** `app=web,tier!=db,env in (a,b)`. */
  readonly labelSelector?: string;
  /** `metadata.name=x,spec.nodeName=n`. */
  readonly fieldSelector?: string;
  readonly signal?: AbortSignal;
}

export interface ObjectList {
  readonly items: readonly KubeObject[];
  /** Where a watch goes on from. */
  readonly resourceVersion: string;
}

export type WatchEvent =
  | { readonly type: "ADDED" | "MODIFIED" | "DELETED"; readonly object: KubeObject }
  | { readonly type: "BOOKMARK"; readonly resourceVersion: string; readonly isInitialEnd: boolean };

export type Patch =
  | { readonly type: "merge"; readonly body: unknown }
  | { readonly type: "json"; readonly body: readonly unknown[] }
  | { readonly type: "strategic"; readonly body: unknown };

export interface WatchOptions extends ListOptions {
  readonly resourceVersion: string;
  /** After how long the server ends the watch. Default: the server's. */
  readonly timeoutSeconds?: number;
  /** Begins with an ADDED for every object and a bookmark with `isInitialEnd` (WatchList); `resourceVersion` may be "" then. */
  readonly sendInitialEvents?: boolean;
}

export interface WriteOptions {
  readonly subresource?: "status" | "scale";
  /** The server checks and answers as if it had written, and writes nothing. */
  readonly dryRun?: boolean;
  readonly signal?: AbortSignal;
}

export interface DeleteOptions {
  readonly uid?: string;
  readonly resourceVersion?: string;
  /** Default `Background`. */
  readonly propagationPolicy?: "Background" | "Foreground" | "Orphan";
  readonly gracePeriodSeconds?: number;
  readonly dryRun?: boolean;
  readonly signal?: AbortSignal;
}

export interface ClusterClient {
  /** Undefined when there is none. */
  get(type: ResourceType, ref: ObjectRef, signal?: AbortSignal): Promise<KubeObject | undefined>;
  /** All pages. */
  list(type: ResourceType, options?: ListOptions): Promise<ObjectList>;
  /** Events after `resourceVersion`; throws `expired` when the server no longer has them. Ends when the server or `signal` ends it. */
  watch(type: ResourceType, options: WatchOptions): AsyncIterable<WatchEvent>;
  create(
    type: ResourceType,
    object: KubeObject,
    signal?: AbortSignal,
    options?: Pick<WriteOptions, "dryRun">,
  ): Promise<KubeObject>;
  /** Replaces; with `metadata.resourceVersion` only that version (`conflict` otherwise). */
  update(type: ResourceType, object: KubeObject, options?: WriteOptions): Promise<KubeObject>;
  patch(type: ResourceType, ref: ObjectRef, patch: Patch, options?: WriteOptions): Promise<KubeObject>;
  /** Deleting what is not there is no error. */
  delete(type: ResourceType, ref: ObjectRef, options?: DeleteOptions): Promise<void>;
  /** Any other request (discovery, /version, a subresource's own kind): the answer as JSON. */
  request(method: TransportRequest["method"], path: string, options?: RequestOptions): Promise<unknown>;
}

export interface RequestOptions {
  readonly body?: unknown;
  /** Default `application/json`. */
  readonly contentType?: string;
  readonly signal?: AbortSignal;
}
