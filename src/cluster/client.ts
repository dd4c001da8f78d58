// The client of a Kubernetes-shaped API, as the rest of weir sees it: interfaces here, made by createClusterClient over a Transport.
// Objects come and go as raw JSON, so that fields that weir does not know survive. Failures are WeirErrors with the codes below.
import type { KubeObject, ResourceType } from "../api/api.ts";

/** Codes of this room. The API's own `Status` is in `context.status`, its HTTP status in `context.httpStatus`. */
export const CLUSTER_ERRORS = {
  notFound: "WEIR_ERR_CLUSTER_NOT_FOUND",
  alreadyExists: "WEIR_ERR_CLUSTER_ALREADY_EXISTS",
  /** The resourceVersion or UID of the write is not the current one. */
  conflict: "WEIR_ERR_CLUSTER_CONFLICT",
  /** 400 or 422: the server refused the object. */
  invalid: "WEIR_ERR_CLUSTER_INVALID",
  /** 401 or 403. */
  forbidden: "WEIR_ERR_CLUSTER_FORBIDDEN",
  /** 410: the resourceVersion of a watch or a continued list is too old. */
  expired: "WEIR_ERR_CLUSTER_EXPIRED",
  /** No answer, a timeout, or 429 and 5xx: trying again may help. */
  unavailable: "WEIR_ERR_CLUSTER_UNAVAILABLE",
} as const;

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

export interface WriteOptions {
  readonly subresource?: "status" | "scale";
  readonly signal?: AbortSignal;
}

export interface DeleteOptions {
  readonly uid?: string;
  readonly resourceVersion?: string;
  /** Default `Background`. */
  readonly propagationPolicy?: "Background" | "Foreground" | "Orphan";
  readonly gracePeriodSeconds?: number;
  readonly signal?: AbortSignal;
}

export interface ClusterClient {
  /** Undefined when there is none. */
  get(type: ResourceType, ref: ObjectRef, signal?: AbortSignal): Promise<KubeObject | undefined>;
  /** All pages. */
  list(type: ResourceType, options?: ListOptions): Promise<ObjectList>;
  /** Events after `resourceVersion`; throws `expired` when the server no longer has them. Ends when the server or `signal` ends it. */
  watch(type: ResourceType, options: ListOptions & { readonly resourceVersion: string }): AsyncIterable<WatchEvent>;
  create(type: ResourceType, object: KubeObject, signal?: AbortSignal): Promise<KubeObject>;
  /** Replaces; with `metadata.resourceVersion` only that version (`conflict` otherwise). */
  update(type: ResourceType, object: KubeObject, options?: WriteOptions): Promise<KubeObject>;
  patch(type: ResourceType, ref: ObjectRef, patch: Patch, options?: WriteOptions): Promise<KubeObject>;
  /** Deleting what is not there is no error. */
  delete(type: ResourceType, ref: ObjectRef, options?: DeleteOptions): Promise<void>;
}
