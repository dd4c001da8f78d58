// RouteConfiguration → HostTable: domains, matches, header rules, weights. Pure; problems are collected, not thrown.
import type {
  RouteConfiguration,
  Route as RouteMessage,
  VirtualHost as VirtualHostMessage,
} from "../../xds/types.ts";
import { durationMs } from "../../xds/types.ts";
import type { RetryPolicy } from "../forward/retry.ts";
import { RouteIndex } from "../route/routeindex.ts";
import { FROM_LISTENER, type HostTable, type Route, type VirtualHost } from "../route/table.ts";
import { ByteMap } from "../wire/bytemap.ts";
import { lowerBytes } from "../wire/bytes.ts";
import { compileOwnAnswer, type Scope, scopeOf } from "./compileanswer.ts";
import { compileMatch } from "./compilematch.ts";
import { compileMirrors, innermost, type MirrorPolicies } from "./compilemirrors.ts";
import { compileRetry } from "./compileretry.ts";
import { type CellOf, compileHash, compileSplit } from "./compilesplit.ts";
import type { Problems } from "./problems.ts";

/** As in Envoy: a route that says nothing waits so long for its answer. */
const DEFAULT_TIMEOUT_MS = 15_000;

/** So few routes are asked one by one. */
const MAX_UNINDEXED = 16;

/** What a virtual host says for its routes that do not. */
interface Outer {
  readonly mirrors: MirrorPolicies;
  readonly retry: RetryPolicy | null;
  readonly isHedged: boolean;
}

type Domain = readonly [domain: Uint8Array, host: VirtualHost];

/** Reads the virtual hosts. */
export function compileHosts(
  config: RouteConfiguration,
  version: string,
  cellOf: CellOf,
  problems: Problems,
): HostTable {
  const exact: Domain[] = [];
  const suffixes: Domain[] = [];
  const prefixes: Domain[] = [];
  const seen = new Set<string>();
  let any: VirtualHost | null = null;
  const cells: number[] = [];
  const noted: CellOf = (route, cluster) => {
    const cell = cellOf(route, cluster);
    cells.push(cell);
    return cell;
  };
  config.virtualHosts.forEach((message, index) => {
    const at = `virtual_hosts[${index}]`;
    const label = message.name === "" ? at : message.name;
    const outer: Outer = {
      mirrors: innermost(mirrorsOf(message, `${at}.`), mirrorsOf(config, "")),
      retry: compileRetry(message.retryPolicy, `${at}.retry_policy`, problems),
      isHedged: isHedged(message) ?? false,
    };
    const scope = scopeOf(config, message, at, problems);
    const routes = message.routes.map((route, r) =>
      compileRoute(route, label, scope, outer, `${at}.routes[${r}]`, noted, problems),
    );
    const host: VirtualHost = {
      name: message.name,
      routes,
      index: routes.length > MAX_UNINDEXED ? new RouteIndex(routes) : null,
      hasShares: routes.some(({ match }) => match.share < match.shareOf),
    };
    message.domains.forEach((spelt, d) => {
      const domain = spelt.toLowerCase();
      const path = `${at}.domains[${d}]`;
      if (seen.has(domain)) problems.add(path, `repeats the domain ${JSON.stringify(domain)}`);
      seen.add(domain);
      const star = domain.indexOf("*");
      if (domain === "*") any = host;
      else if (star === -1 && domain !== "") exact.push([lowerBytes(domain), host]);
      else if (star === 0 && domain.lastIndexOf("*") === 0)
        suffixes.push([lowerBytes(domain.slice(1)), host]);
      else if (star === domain.length - 1 && star > 0) prefixes.push([lowerBytes(domain.slice(0, -1)), host]);
      else problems.add(path, `is no domain: ${JSON.stringify(spelt)}`);
    });
    if (message.domains.length === 0) problems.add(`${at}.domains`, "names no domain");
  });
  return {
    name: config.name,
    version,
    isPortIgnored: config.ignorePortInHostMatching,
    areParametersIgnored: config.ignorePathParametersInPathMatching,
    exact: new ByteMap(exact),
    suffixes: new ByteMap(suffixes, { isBackward: true }),
    prefixes: new ByteMap(prefixes),
    any,
    cells,
  };
}

function mirrorsOf(
  message: Pick<VirtualHostMessage, "requestMirrorPolicies">,
  prefix: string,
): MirrorPolicies {
  return { policies: message.requestMirrorPolicies, at: `${prefix}request_mirror_policies` };
}

/** Undefined: it does not say. */
function isHedged({ hedgePolicy }: Pick<VirtualHostMessage, "hedgePolicy">): boolean | undefined {
  return hedgePolicy?.hedgeOnPerTryTimeout;
}

function compileRoute(
  message: RouteMessage,
  host: string,
  scope: Scope,
  outer: Outer,
  at: string,
  cellOf: CellOf,
  problems: Problems,
): Route {
  const name = message.name === "" ? host : message.name;
  const action = message.action.case === "route" ? message.action.value : undefined;
  const answer = compileOwnAnswer(message, name, at, scope, problems);
  if (action === undefined && answer === null)
    problems.add(at, "has no route action, redirect or direct response");
  return {
    name,
    match: compileMatch(message.match, `${at}.match`, problems),
    hash: compileHash(action, `${at}.route`, problems),
    split: compileSplit(message, name, at, scope, cellOf, problems),
    answer,
    // A route's own policy replaces the host's, whatever it says.
    retry:
      action?.retryPolicy === undefined
        ? outer.retry
        : compileRetry(action.retryPolicy, `${at}.route.retry_policy`, problems),
    isHedged: (action && isHedged(action)) ?? outer.isHedged,
    timeoutMs: durationMs(action?.timeout) ?? DEFAULT_TIMEOUT_MS,
    idleTimeoutMs: durationMs(action?.idleTimeout) ?? FROM_LISTENER,
    streamMs: durationMs(action?.maxStreamDuration?.maxStreamDuration) ?? FROM_LISTENER,
    mirrors: compileMirrors(
      action === undefined ? outer.mirrors : innermost(mirrorsOf(action, `${at}.route.`), outer.mirrors),
      name,
      cellOf,
      problems,
    ),
  };
}
