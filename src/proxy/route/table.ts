// The routing tables that requests are matched against: immutable, compiled from configuration (compile.ts), swapped whole.

import type { RetryPolicy } from "../forward/retry.ts";
import { ByteMap } from "../wire/bytemap.ts";
import type { RouteIndex } from "./routeindex.ts";
import { ANY_VALUE, type ValueTest } from "./valuetest.ts";

/** Hosts of one listener or route configuration. Keys are in lower case. */
export interface HostTable {
  /** Name of the route configuration. */
  readonly name: string;
  readonly version: string;
  /** Whether a port in Host is cut off before a host is looked up; otherwise a domain must name it. */
  readonly isPortIgnored: boolean;
  /** Whether rules see paths without their parameters (parameters.ts). */
  readonly areParametersIgnored: boolean;
  /** By host, with or without port. */
  readonly exact: ByteMap<VirtualHost>;
  /** `*.example.com` by `.example.com`; looked up from the end. */
  readonly suffixes: ByteMap<VirtualHost>;
  /** `example.*` by `example.` */
  readonly prefixes: ByteMap<VirtualHost>;
  /** `*` */
  readonly any: VirtualHost | null;
  /** Positions of the statistics of all its targets and mirrors. */
  readonly cells: readonly number[];
}

export interface VirtualHost {
  readonly name: string;
  /** The first that matches serves. */
  readonly routes: readonly Route[];
  /** Finds that one without asking all; null: there are few. */
  readonly index: RouteIndex | null;
  /** Whether some of them serve a share of requests only. */
  readonly hasShares: boolean;
}

/** Parts of a whole in which shares of requests are given. */
export const WHOLE = 1_000_000;

/** How a path is compared: SEPARATED is a prefix that ends at a path segment, VALUE a test of the whole path. */
export const PATH = { PREFIX: 0, EXACT: 1, SEPARATED: 2, VALUE: 3 } as const;

/** Which requests a route serves: path and all rules must hold. */
export interface Match {
  /** A PATH. */
  readonly pathKind: number;
  /** Of a VALUE: what every path that passes begins with. */
  readonly path: Uint8Array;
  /** Then `path` is in lower case. */
  readonly isCaseIgnored: boolean;
  readonly pathTest: ValueTest;
  /** Whether there are rules beside the path. */
  readonly hasRules: boolean;
  /** Of `shareOf` requests, how many it may serve; below that a rule. `shareOf` divides WHOLE. */
  readonly share: number;
  readonly shareOf: number;
  readonly headers: readonly HeaderRule[];
  readonly query: readonly PairRule[];
  readonly cookies: readonly PairRule[];
}

/** Value of a route's `idleTimeoutMs` and `streamMs` where it leaves them to the listener. */
export const FROM_LISTENER = -1;

export interface Route {
  /** Label of statistics. */
  readonly name: string;
  readonly match: Match;
  readonly split: Split;
  /** What a ring chooses an endpoint by; null: by chance. */
  readonly hash: Sticky | null;
  /** What the proxy answers by itself; null: requests are forwarded. */
  readonly answer: OwnAnswer | null;
  /** Null: only what needs no policy is tried again (retry.ts). */
  readonly retry: RetryPolicy | null;
  /** A try that takes longer than `retry` gives it goes on beside the next one, instead of ending (latetries.ts). */
  readonly isHedged: boolean;
  /** From the end of the request to the end of the answer; 0: none. */
  readonly timeoutMs: number;
  /** Longest silence on the exchange; 0: any; FROM_LISTENER: the listener's. */
  readonly idleTimeoutMs: number;
  /** From the head of a request to the end of its answer, however busy; 0: any; FROM_LISTENER: the listener's. */
  readonly streamMs: number;
  /** Where copies go. */
  readonly mirrors: readonly MirrorRule[];
}

export interface MirrorRule {
  readonly cluster: string;
  /** Of WHOLE requests, how many are copied. */
  readonly share: number;
  /** `-shadow` is put behind the host's name. */
  readonly hasHostSuffix: boolean;
  /** Position of the statistics of (route, mirror cluster). */
  readonly cell: number;
}

/**
 * A value rule holds when one of the fields of that name passes, an inverted one when none does; neither holds without a field.
 * PRESENT holds with a field, inverted without one. As in Envoy.
 */
export interface HeaderRule {
  /** Lower case; `:method`, `:path` and `:authority` are the request's own. */
  readonly name: string;
  readonly nameBytes: Uint8Array;
  readonly test: ValueTest;
  readonly isInverted: boolean;
  /** A missing header counts as empty. */
  readonly isMissingEmpty: boolean;
}

/**
 * About the first query parameter of that name, decoded, or the first cookie. PRESENT holds with it, inverted without it. An inverted value
 * rule about a parameter needs the parameter, one about a cookie holds without it, too (as in Envoy).
 */
export interface PairRule {
  readonly name: string;
  readonly nameBytes: Uint8Array;
  readonly nameHash: number;
  readonly test: ValueTest;
  readonly isInverted: boolean;
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
  /** What is changed about requests on their way to it; null: nothing. */
  readonly rewrite: Rewrite | null;
  /** What is changed about the fields of its answers, and of the proxy's own in its place; null: nothing. */
  readonly answerEdits: FieldEdits | null;
}

/** The part of a target that changes nothing. */
export const UNCHANGED: Pick<Target, "rewrite" | "answerEdits"> = { rewrite: null, answerEdits: null };

export interface Rewrite {
  readonly path: PathRewrite | null;
  /** Value of Host; null: as it came. */
  readonly host: Buffer | null;
  /** Whether the host that came is appended to X-Forwarded-Host where another takes its place. */
  readonly isHostForwarded: boolean;
  readonly edits: FieldEdits | null;
}

export interface PathRewrite {
  /** So many bytes of the path become `text`; -1: all of it. */
  readonly prefixLength: number;
  /** Whether they are counted without parameters, as the path was matched. */
  readonly areParametersIgnored: boolean;
  readonly text: Buffer;
}

/** What becomes of the fields of a head, by name. */
export interface FieldEdits {
  /** Lower case. */
  readonly names: readonly Uint8Array[];
  /** 1 where the fields of that name that came stay. */
  readonly keeps: Uint8Array;
  /** What is added for each name, where fields of it came and where none did. */
  readonly whenThere: readonly Lines[];
  readonly whenMissing: readonly Lines[];
}

/** Whole lines; null stands for the client's address. */
export type Lines = readonly (Buffer | null)[];

export interface OwnAnswer {
  readonly status: number;
  /** What statistics and access log call it. */
  readonly reason: string;
  /** Where a redirect leads; null: it is none. */
  readonly location: Location | null;
  readonly body: Buffer;
  readonly edits: FieldEdits | null;
}

/** Parts of the URL that a redirect changes. */
export interface Location {
  /** Empty: the request's. */
  readonly scheme: string;
  /** Empty: the request's. */
  readonly host: string;
  /** 0: the request's. */
  readonly port: number;
  readonly path: PathRewrite | null;
  readonly isQueryKept: boolean;
}

/** Matches every request. */
export const ANY_REQUEST: Match = {
  pathKind: PATH.PREFIX,
  path: new Uint8Array(0),
  isCaseIgnored: false,
  pathTest: ANY_VALUE,
  hasRules: false,
  share: WHOLE,
  shareOf: WHOLE,
  headers: [],
  query: [],
  cookies: [],
};

/** A table that serves nothing. */
export const EMPTY_HOSTS: HostTable = {
  name: "",
  version: "",
  isPortIgnored: true,
  areParametersIgnored: false,
  exact: new ByteMap([]),
  suffixes: new ByteMap([], { isBackward: true }),
  prefixes: new ByteMap([]),
  any: null,
  cells: [],
};
