// The routing tables that requests are matched against: immutable, compiled from configuration (compile.ts), swapped whole.
import type { RetryPolicy } from "./retry.ts";

/** Hosts of one listener or route configuration. */
export interface HostTable {
  /** Name of the route configuration. */
  readonly name: string;
  readonly version: string;
  /** Whether a port in Host is cut off before a host is looked up; otherwise a domain must name it. */
  readonly isPortIgnored: boolean;
  /** By lower-case host, with or without port. */
  readonly exact: ReadonlyMap<string, VirtualHost>;
  /** `*.example.com` by `.example.com`, longest first. */
  readonly suffixes: readonly WildcardHost[];
  /** `example.*` by `example.`, longest first. */
  readonly prefixes: readonly WildcardHost[];
  /** `*` */
  readonly any: VirtualHost | null;
}

export interface WildcardHost {
  readonly part: string;
  readonly host: VirtualHost;
}

export interface VirtualHost {
  readonly name: string;
  /** The first that matches serves. */
  readonly routes: readonly Route[];
}

export const PATH = { PREFIX: 0, EXACT: 1, SEPARATED: 2 } as const;

/** Value of `idleTimeoutMs` where a route leaves it to the listener. */
export const LISTENER_IDLE = -1;

export interface Route {
  /** Label of statistics. */
  readonly name: string;
  /** PATH: how `path` is compared. SEPARATED is a prefix that ends at a path segment. */
  readonly pathKind: number;
  readonly path: Uint8Array;
  /** Then `path` is in lower case. */
  readonly isCaseIgnored: boolean;
  /** All must hold. */
  readonly headers: readonly HeaderRule[];
  readonly split: Split;
  /** Null: only what needs no policy is tried again (retry.ts). */
  readonly retry: RetryPolicy | null;
  /** From the end of the request to the end of the answer; 0: none. */
  readonly timeoutMs: number;
  /** Longest silence on the exchange; 0: none; LISTENER_IDLE: the listener's. */
  readonly idleTimeoutMs: number;
  /** Where copies go. */
  readonly mirrors: readonly MirrorRule[];
}

export interface MirrorRule {
  readonly cluster: string;
  /** Of MIRROR_SCALE requests, how many are copied. */
  readonly share: number;
  /** `-shadow` is put behind the host's name. */
  readonly hasHostSuffix: boolean;
  /** Position of the statistics of (route, mirror cluster). */
  readonly cell: number;
}

export type HeaderTest =
  | {
      readonly kind: "exact" | "prefix" | "suffix" | "contains";
      readonly text: string;
      readonly ignoreCase: boolean;
    }
  | { readonly kind: "present"; readonly isPresent: boolean }
  /** A whole decimal number in [start, end). */
  | { readonly kind: "range"; readonly start: number; readonly end: number };

export interface HeaderRule {
  /** Lower case; `:method`, `:path` and `:authority` are the request's own. */
  readonly name: string;
  readonly nameBytes: Uint8Array;
  readonly test: HeaderTest;
  readonly isInverted: boolean;
  /** A missing header counts as empty. */
  readonly isMissingEmpty: boolean;
}

export interface Split {
  readonly targets: readonly Target[];
  /** `bounds[i]` = sum of the weights up to and with target i. */
  readonly bounds: Float64Array;
  readonly total: number;
  /** Null: every request goes by chance. */
  readonly sticky: Sticky | null;
}

/** What keeps a client with its version. */
export interface Sticky {
  /** The hashes of those that a request carries are joined, up to the first terminal one. */
  readonly keys: readonly StickyKey[];
  /** Seed of the hash, in halves. */
  readonly saltLow: number;
  readonly saltHigh: number;
}

export type StickyKey =
  | { readonly kind: "address"; readonly isTerminal: boolean }
  | { readonly kind: "header"; readonly name: Uint8Array; readonly isTerminal: boolean }
  | {
      readonly kind: "cookie";
      readonly name: Uint8Array;
      /** Its Set-Cookie line around the value, for a request without it; null: it goes without. */
      readonly issue: { readonly before: Buffer; readonly after: Buffer } | null;
      readonly isTerminal: boolean;
    };

export interface Target {
  readonly cluster: string;
  readonly weight: number;
  /** Position of the statistics of (route, cluster). */
  readonly cell: number;
}

/** A table that serves nothing. */
export const EMPTY_HOSTS: HostTable = {
  name: "",
  version: "",
  isPortIgnored: true,
  exact: new Map(),
  suffixes: [],
  prefixes: [],
  any: null,
};
