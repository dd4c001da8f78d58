// RouteAction → Split: clusters by weight, and what keeps a client with its version (`use_hash_policy`). Pure; problems are collected.
import { isFieldName } from "../../lib/fields.ts";
import type {
  RouteAction,
  RouteAction_HashPolicy,
  Route as RouteMessage,
  WeightedCluster_ClusterWeight,
} from "../../xds/types.ts";
import { durationMs } from "../../xds/types.ts";
import type { Split, Sticky, StickyKey, Target } from "../route/table.ts";
import { KeyHash } from "../route/xxhash.ts";
import { lowerBytes } from "../wire/bytes.ts";
import {
  compileAnswerEdits,
  compileRewrite,
  mutationsOf,
  type Scope,
  type VersionChanges,
} from "./compileanswer.ts";
import { METADATA_KEY, metadataPath } from "./compilemetadata.ts";
import type { Problems } from "./problems.ts";

/** Position of the statistics of (route, cluster). */
export type CellOf = (route: string, cluster: string) => number;

const MAX_TOTAL_WEIGHT = 2 ** 32 - 1;
/** Where a route's own metadata holds the salt of its split. Other proxies hash without. */
const SALT = "salt";
/** Bytes of all attributes of a cookie. */
const MAX_ATTRIBUTE_BYTES = 1024;
const COOKIE_ATTRIBUTE = /^[\x20-\x3a\x3c-\x7e]*$/;

/** Reads where a route's requests go; `at` is the path of the route, `name` its label. */
export function compileSplit(
  message: RouteMessage,
  name: string,
  at: string,
  scope: Scope,
  cellOf: CellOf,
  problems: Problems,
): Split {
  const action = message.action.case === "route" ? message.action.value : undefined;
  if (action === undefined) return splitOf([], null);
  // Also where nothing is split, so that a mistake is told at once and not with the first weight.
  const keys = compileKeys(action, `${at}.route`, problems);
  const route = mutationsOf(message, `${at}.`);
  const target = (cluster: string, weight: number, version?: VersionChanges): Target => {
    const facts = { cluster, route: name };
    return {
      cluster,
      weight,
      cell: cellOf(name, cluster),
      rewrite: compileRewrite(message, at, scope, version, facts, problems),
      answerEdits: compileAnswerEdits(route, scope, version, facts, problems),
    };
  };
  const specifier = action.clusterSpecifier;
  if (specifier.case === "cluster") return splitOf([target(specifier.value, 1)], null);
  if (specifier.case !== "weightedClusters") {
    problems.add(`${at}.route`, "names no cluster");
    return splitOf([], null);
  }
  const path = `${at}.route.weighted_clusters`;
  const { clusters, totalWeight, randomValueSpecifier } = specifier.value;
  const targets = clusters.map((cluster, index) =>
    target(cluster.name, cluster.weight ?? 0, versionOf(cluster, `${path}.clusters[${index}]`)),
  );
  const sum = targets.reduce((total, { weight }) => total + weight, 0);
  if (sum < 1 || sum > MAX_TOTAL_WEIGHT)
    problems.add(path, `has weights that add up to ${sum}, not to 1 or more`);
  if (totalWeight !== undefined && totalWeight !== sum)
    problems.add(`${path}.total_weight`, `is ${totalWeight}, but the weights add up to ${sum}`);
  const isSticky = randomValueSpecifier.case === "useHashPolicy" && randomValueSpecifier.value.value;
  return splitOf(targets, isSticky && keys.length > 0 ? { keys, ...saltOf(message, at, problems) } : null);
}

/** What endpoints are chosen by in clusters that hash: without a salt, as in Envoy. */
export function compileHash(action: RouteAction | undefined, at: string, problems: Problems): Sticky | null {
  const keys = action === undefined ? [] : compileKeys(action, at, problems);
  return keys.length === 0 ? null : { keys, saltLow: 0, saltHigh: 0 };
}

function versionOf(cluster: WeightedCluster_ClusterWeight, at: string): VersionChanges {
  const { hostRewriteSpecifier } = cluster;
  const host = hostRewriteSpecifier.case === "hostRewriteLiteral" ? hostRewriteSpecifier.value : "";
  return { mutations: mutationsOf(cluster, `${at}.`), host, at };
}

function splitOf(targets: readonly Target[], sticky: Sticky | null): Split {
  let total = 0;
  const bounds = Float64Array.from(targets, ({ weight }) => {
    total += weight;
    return total;
  });
  return { targets, bounds, total, sticky };
}

function compileKeys(action: RouteAction, at: string, problems: Problems): StickyKey[] {
  return action.hashPolicy.flatMap((policy, index) => {
    const key = compileKey(policy, `${at}.hash_policy[${index}]`, problems);
    return key === undefined ? [] : [key];
  });
}

function compileKey(policy: RouteAction_HashPolicy, at: string, problems: Problems): StickyKey | undefined {
  const { policySpecifier: specifier, terminal: isTerminal } = policy;
  switch (specifier.case) {
    case "header": {
      const { headerName } = specifier.value;
      if (!isFieldName(headerName)) problems.add(`${at}.header.header_name`, "is no name of a field");
      return { kind: "header", name: lowerBytes(headerName), isTerminal };
    }
    case "connectionProperties":
      // Without `source_ip` the policy asks for nothing.
      return specifier.value.sourceIp ? { kind: "address", isTerminal } : undefined;
    case "cookie": {
      const { name, ttl, path, attributes } = specifier.value;
      if (!isFieldName(name)) problems.add(`${at}.cookie.name`, "is no name of a cookie");
      const ttlMs = durationMs(ttl);
      if (ttlMs !== undefined && ttlMs < 0) problems.add(`${at}.cookie.ttl`, "is below 0");
      if (!COOKIE_ATTRIBUTE.test(path))
        problems.add(`${at}.cookie.path`, "has a byte that a cookie may not have");
      const words = attributes.map(({ name, value }) => (value === "" ? name : `${name}=${value}`));
      attributes.forEach(({ name, value }, index) => {
        if (!isFieldName(name) || !COOKIE_ATTRIBUTE.test(value))
          problems.add(`${at}.cookie.attributes[${index}]`, "is no attribute of a cookie");
      });
      if (words.join("").length > MAX_ATTRIBUTE_BYTES)
        problems.add(`${at}.cookie.attributes`, "are too long");
      const issue = ttlMs === undefined ? null : issueOf(name, ttlMs, path, words);
      return { kind: "cookie", name: Uint8Array.from(Buffer.from(name, "latin1")), issue, isTerminal };
    }
    case "queryParameter":
    case "filterState":
    case undefined:
      problems.add(at, "names no header, cookie or source address");
      return undefined;
  }
}

/** A lifetime of 0 is a session's. */
function issueOf(name: string, ttlMs: number, path: string, attributes: readonly string[]) {
  const words = [
    ...(ttlMs > 0 ? [`Max-Age=${Math.floor(ttlMs / 1000)}`] : []),
    ...(path === "" ? [] : [`Path=${path}`]),
    ...attributes,
    ...(attributes.some((word) => word.toLowerCase() === "httponly") ? [] : ["HttpOnly"]),
  ];
  const after = words.map((word) => `; ${word}`).join("");
  return {
    before: Buffer.from(`set-cookie: ${name}=`, "latin1"),
    after: Buffer.from(`${after}\r\n`, "latin1"),
  };
}

/** The seed: the hash of the salt; 0 for a route without, as in Envoy. */
function saltOf(
  { metadata }: RouteMessage,
  at: string,
  problems: Problems,
): { readonly saltLow: number; readonly saltHigh: number } {
  const salt = metadata?.filterMetadata[METADATA_KEY]?.[SALT];
  if (salt === undefined) return { saltLow: 0, saltHigh: 0 };
  if (typeof salt !== "string") problems.add(`${at}.${metadataPath(SALT)}`, "is no string");
  const bytes = Buffer.from(typeof salt === "string" ? salt : "", "utf8");
  const hash = new KeyHash();
  hash.of(bytes, 0, bytes.length);
  return { saltLow: hash.low, saltHigh: hash.high };
}
