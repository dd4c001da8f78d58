// The door of translate/: a Gateway with its HTTPRoutes, Services, endpoints and the Rollouts' intents become one xDS snapshot, consistent
// by construction: every route names clusters of the snapshot, every cluster has its assignment. Pure.
import { type GatewayListener, rootServiceOf, type TrafficIntent } from "../api/api.ts";
import { isIpAddress } from "../lib/ip.ts";
import {
  ApiVersion,
  create,
  HttpConnectionManager_CodecType,
  HttpConnectionManagerSchema,
  type Listener,
  ListenerSchema,
  pack,
  type RouteConfiguration,
  RouteConfigurationSchema,
  RouterSchema,
  type VirtualHost,
  VirtualHostSchema,
  type XdsSnapshot,
} from "../xds/types.ts";
import { type ClusterBook, createClusterBook, type Withheld } from "./clusters.ts";
import { commonHosts, isAttached, isHostName } from "./hosts.ts";
import type { Problem, Report, TranslateInput } from "./input.ts";
import { type ListenerSettings, listenerSettings } from "./listenersettings.ts";
import { byPrecedence, defaultRoutes, type RankedRoute, routesOf } from "./matches.ts";
import { createMemo, type Memo } from "./memo.ts";
import { type Applied, createPolicyBook, type PolicyBook } from "./policies.ts";

export type { Problem, TranslateInput } from "./input.ts";
export { createMemo, type Memo } from "./memo.ts";

/** The class whose Gateways weir's proxies serve. */
export const GATEWAY_CLASS = "weir";
const MAX_PORT = 65_535;

export interface Translation {
  readonly snapshot: XdsSnapshot;
  /** Keys (`namespace/name`) of the Rollouts whose split the snapshot carries, each with the names of the route configurations that do. */
  readonly rollouts: ReadonlyMap<string, readonly string[]>;
  /** Keys of the Rollouts of which a version gets no traffic although its weight says so, and why. */
  readonly withheld: ReadonlyMap<string, Withheld>;
  readonly problems: readonly Problem[];
}

/** The node group of a Gateway's proxies: their `node.cluster`. */
export function groupOf(gateway: {
  readonly metadata: { readonly namespace?: string; readonly name: string };
}): string {
  return `gateway/${gateway.metadata.namespace ?? "default"}/${gateway.metadata.name}`;
}

/** Renders what the proxies of one Gateway should do. */
export function translateGateway(input: TranslateInput): Translation {
  const { gateway } = input;
  const problems: Problem[] = [];
  const report: Report = (about, field, message, mayPass = false) =>
    problems.push({ about, field, message, ...(mayPass && { mayPass }) });
  const intents = input.intents.filter((intent) => concerns(intent, input));
  const policies = createPolicyBook(input.policies, report);
  const { memo = createMemo() } = input;
  memo.turn();
  const book = createClusterBook(input, intents, policies, memo, report);
  const listeners: Listener[] = [];
  const routes: RouteConfiguration[] = [];
  const about = `Gateway ${gateway.metadata.namespace}/${gateway.metadata.name}`;
  const served = (gateway.spec?.listeners ?? []).filter((listener) => {
    const problem = problemOf(listener);
    if (problem !== undefined)
      report(about, `spec.listeners[${listener.name}].${problem.field}`, problem.words);
    return problem === undefined;
  });
  const address = addressOf(gateway.spec?.addresses?.[0], input.bindAddress, (words) =>
    report(about, "spec.addresses[0]", words),
  );
  const byPort = Map.groupBy(served, (listener) => listener.port);
  for (const [port, sharing] of byPort) {
    const name = `${gateway.metadata.namespace}/${gateway.metadata.name}:${port}`;
    const hosts = new Map<string, RankedRoute[]>();
    book.begin(name);
    for (const listener of sharing)
      collectHosts(hosts, listener, { ...input, memo }, intents, book, policies, report);
    const settings = listenerSettings(gateway, sharing, policies, report);
    listeners.push(listenerOf(name, address, port, settings));
    routes.push(routeConfigurationOf(name, hosts, settings, memo));
  }
  const snapshot = { listeners, routes, clusters: book.clusters(), endpoints: book.endpoints() };
  return { snapshot, rollouts: book.rollouts(), withheld: book.withheld(), problems: distinct(problems) };
}

/** Why a listener cannot be served; undefined: it can. */
function problemOf({ protocol, port, hostname = "*" }: GatewayListener) {
  if (protocol !== "HTTP")
    return { field: "protocol", words: `${protocol} is not carried out yet, only HTTP` };
  if (port < 0 || port > MAX_PORT) return { field: "port", words: `${port} is no port` };
  if (isHostName(hostname)) return undefined;
  return { field: "hostname", words: `${JSON.stringify(hostname)} is no host name` };
}

/** Where listeners listen: what the Gateway asks for, if proxies can. */
function addressOf(
  asked: { readonly value?: string } | undefined,
  absent: string,
  tell: (words: string) => void,
): string {
  const { value } = asked ?? {};
  if (value === undefined || isIpAddress(value)) return value ?? absent;
  tell(`${JSON.stringify(value)} is no IP address; ${absent} is listened on`);
  return absent;
}

function concerns(intent: TrafficIntent, { gateway }: TranslateInput): boolean {
  if (intent.gateways === undefined) return true;
  return intent.namespace === gateway.metadata.namespace && intent.gateways.includes(gateway.metadata.name);
}

function collectHosts(
  hosts: Map<string, RankedRoute[]>,
  listener: GatewayListener,
  input: TranslateInput & { readonly memo: Memo },
  intents: readonly TrafficIntent[],
  book: ClusterBook,
  policies: PolicyBook,
  report: Report,
): void {
  const add = (host: string, routes: readonly RankedRoute[]): void => {
    hosts.set(host, [...(hosts.get(host) ?? []), ...routes]);
  };
  const named = new Set<string>();
  for (const route of input.httpRoutes) {
    if (!isAttached(input.gateway, listener, route, report)) continue;
    for (const ref of (route.spec?.rules ?? []).flatMap((rule) => rule.backendRefs ?? [])) {
      named.add(`${route.metadata.namespace}/${ref.name}`);
    }
    const common = commonHosts(listener, route, report);
    if (common.length === 0) continue;
    const policyOf = (rule: string | undefined) => policies.rule(input.gateway, listener.name, route, rule);
    const routes = routesOf(route, book, policyOf, listener.port, input.memo, report);
    for (const host of common) add(host, routes);
  }
  for (const intent of intents) {
    const isRouted = [intent.stableService, intent.canaryService].some((name) =>
      named.has(`${intent.namespace}/${name}`),
    );
    const isReachable =
      intent.namespace === input.gateway.metadata.namespace && listener.hostname === undefined;
    // Nobody asked that a blue-green Service be reachable from outside.
    if (isRouted || !isReachable || intent.isBlueGreen === true) continue;
    const applied = policies.listener(input.gateway, listener.name);
    for (const [host, routes] of serviceHosts(intent, input, book, applied, report))
      if (!hosts.has(host)) add(host, routes);
  }
}

/** The cluster-internal names of the Service that a Rollout is known by, for Rollouts that no HTTPRoute of the listener leads to. */
function serviceHosts(
  intent: TrafficIntent,
  input: TranslateInput & { readonly memo: Memo },
  book: ClusterBook,
  applied: Applied,
  report: Report,
): [string, RankedRoute[]][] {
  const { namespace } = intent;
  const name = rootServiceOf(intent);
  const port = input.service(namespace, name)?.spec?.ports?.[0]?.port;
  if (port === undefined) return [];
  const routes = defaultRoutes({ namespace, service: name, port }, book, applied, input.memo, report);
  const suffixes = ["", `.${namespace}`, `.${namespace}.svc`, `.${namespace}.svc.cluster.local`];
  return suffixes.map((suffix) => [`${name}${suffix}`, routes]);
}

function routeConfigurationOf(
  name: string,
  hosts: ReadonlyMap<string, readonly RankedRoute[]>,
  { areParametersIgnored }: ListenerSettings,
  memo: Memo,
): RouteConfiguration {
  const virtualHosts = [...hosts]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([host, ranked]) => {
      const routes = [...ranked].sort(byPrecedence).map(({ route }) => route);
      const make = (): VirtualHost => create(VirtualHostSchema, { name: host, domains: [host], routes });
      return memo.hosts.keep(`${name} ${host}`, routes, make);
    });
  return create(RouteConfigurationSchema, {
    name,
    virtualHosts,
    ignorePortInHostMatching: true,
    ignorePathParametersInPathMatching: areParametersIgnored,
  });
}

function listenerOf(name: string, address: string, port: number, settings: ListenerSettings): Listener {
  const manager = pack(HttpConnectionManagerSchema, {
    statPrefix: name,
    codecType: HttpConnectionManager_CodecType.HTTP1,
    // Other clients than our proxy tell the upstream who the client is only when asked to.
    useRemoteAddress: true,
    ...settings.manager,
    routeSpecifier: {
      case: "rds",
      value: {
        routeConfigName: name,
        configSource: {
          configSourceSpecifier: { case: "ads", value: {} },
          resourceApiVersion: ApiVersion.V3,
        },
      },
    },
    httpFilters: [
      {
        name: "envoy.filters.http.router",
        configType: { case: "typedConfig", value: pack(RouterSchema, {}) },
      },
    ],
  });
  return create(ListenerSchema, {
    name,
    // xDS has no field for it. Who does not know it gives up on a client that ends its side.
    ...(settings.isHalfCloseAllowed && {
      metadata: { filterMetadata: { "weir.dev": { half_close: true } } },
    }),
    address: {
      address: {
        case: "socketAddress",
        value: { address, portSpecifier: { case: "portValue", value: port } },
      },
    },
    filterChains: [
      {
        filters: [
          ...settings.filters,
          {
            name: "envoy.filters.network.http_connection_manager",
            configType: { case: "typedConfig", value: manager },
          },
        ],
      },
    ],
  });
}

function distinct(problems: readonly Problem[]): Problem[] {
  const text = (problem: Problem): string => `${problem.about} ${problem.field} ${problem.message}`;
  return [...new Map(problems.map((problem) => [text(problem), problem])).values()];
}
