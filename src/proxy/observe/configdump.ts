// What is in force, as JSON in slices: a dump of many routes holds nothing up. Values that may be credentials are not shown.
import type { XdsClientStatus } from "../../xds/client.ts";
import type { Configuration } from "../configuration.ts";
import type { Core } from "../core.ts";
import type { Cluster } from "../forward/pool.ts";
import type { Listener } from "../http1/listener.ts";
import {
  FROM_LISTENER,
  type HeaderRule,
  type HostTable,
  PATH,
  type PairRule,
  type Route,
  type VirtualHost,
} from "../route/table.ts";
import { VALUE, type ValueTest } from "../route/valuetest.ts";

export interface ConfigSource {
  readonly core: Core;
  readonly configuration: Configuration;
  /** Undefined: there is no control plane. */
  readonly controlPlaneStatus: () => XdsClientStatus | undefined;
}

/** Routes in one slice. */
const ROUTES_PER_SLICE = 200;
const REDACTED = "[redacted]";
const SECRET_NAMES =
  /^(?:proxy-)?authorization$|cookie|token|secret|passw|api-?key|credential|signature|session/;

/** The whole dump. */
export function* configDump({ core, configuration, controlPlaneStatus }: ConfigSource): Generator<string> {
  yield `{"controlPlane":${JSON.stringify(controlPlaneStatus() ?? null)},\n"listeners":[`;
  yield* list(configuration.listeners, (listener) => [JSON.stringify(dumpListener(listener))]);
  yield '],\n"routes":[';
  yield* list(configuration.routes, dumpTable);
  yield '],\n"clusters":[';
  yield* list([...core.clusters.values()], (cluster) => [
    JSON.stringify({ ...dumpCluster(cluster), names: configuration.namesIn(cluster.name) }),
  ]);
  yield "]}\n";
}

/** True for the name of a field whose value may be a credential. */
export function isSecretName(name: string): boolean {
  return SECRET_NAMES.test(name.toLowerCase());
}

function* list<T>(items: readonly T[], pieces: (item: T) => Iterable<string>): Generator<string> {
  for (const [index, item] of items.entries()) {
    yield index === 0 ? "\n" : ",\n";
    yield* pieces(item);
  }
}

function dumpListener(listener: Listener): unknown {
  const { removed, removedLengths: _, ...client } = listener.clientRules;
  return {
    name: listener.name,
    address: listener.options.address,
    port: listener.port,
    routes: listener.hosts.name,
    connections: listener.connectionCount,
    accessLog: listener.accessLog?.file.path ?? null,
    streamMs: listener.clientLimits.streamMs,
    isHalfCloseAllowed: listener.isHalfCloseAllowed,
    client: { ...client, removed: removed.map((name) => Buffer.from(name).toString("latin1")) },
  };
}

function dumpCluster(cluster: Cluster): Readonly<Record<string, unknown>> {
  return {
    name: cluster.name,
    ...cluster.options,
    connections: cluster.connections,
    active: cluster.active,
    overprovisioningPercent: cluster.overprovisioningPercent,
    endpoints: cluster.endpoints.map(
      ({ address, port, priority, isUsable, isDegraded, active, idleCount }) => ({
        address,
        port,
        priority,
        isHealthy: isUsable,
        isDegraded,
        active,
        idleCount,
      }),
    ),
  };
}

function* dumpTable(table: HostTable): Generator<string> {
  const entries = ({ entries: all }: HostTable["exact"], spell: (part: string) => string) =>
    all.map(([part, host]) => ({ domain: spell(Buffer.from(part).toString("latin1")), host }));
  const hosts = [
    ...entries(table.exact, (part) => part),
    ...entries(table.suffixes, (part) => `*${part}`),
    ...entries(table.prefixes, (part) => `${part}*`),
    ...(table.any === null ? [] : [{ domain: "*", host: table.any }]),
  ];
  yield `{"name":${JSON.stringify(table.name)},"version":${JSON.stringify(table.version)},"hosts":[`;
  yield* list(hosts, ({ domain, host }) => dumpHost(domain, host));
  yield "]}";
}

function* dumpHost(domain: string, host: VirtualHost): Generator<string> {
  yield `{"domain":${JSON.stringify(domain)},"name":${JSON.stringify(host.name)},"routes":[`;
  for (let from = 0; from < host.routes.length; from += ROUTES_PER_SLICE) {
    const routes = host.routes
      .slice(from, from + ROUTES_PER_SLICE)
      .map((route) => JSON.stringify(dumpRoute(route)));
    yield `${from === 0 ? "" : ","}${routes.join(",")}`;
  }
  yield "]}";
}

function dumpRoute(route: Route): unknown {
  const { match } = route;
  return {
    name: route.name,
    match: ["prefix", "exact", "separated prefix", "pattern"][match.pathKind],
    ...(match.pathKind === PATH.VALUE
      ? dumpTest(match.pathTest)
      : { path: Buffer.from(match.path).toString() }),
    fraction: match.share / match.shareOf,
    headers: match.headers.map(dumpRule),
    query: match.query.map(dumpRule),
    cookies: match.cookies.map(dumpRule),
    timeoutMs: route.timeoutMs,
    streamMs: route.streamMs === FROM_LISTENER ? null : route.streamMs,
    clusters: route.split.targets.map(({ cluster, weight }) => ({ cluster, weight })),
  };
}

function dumpRule({ name, test, isInverted }: HeaderRule | PairRule): unknown {
  const shown = dumpTest(test);
  return { name, ...shown, ...("text" in shown && isSecretName(name) ? { text: REDACTED } : {}), isInverted };
}

function dumpTest(test: ValueTest): Readonly<Record<string, unknown>> {
  const kind = ["present", "exact", "prefix", "suffix", "contains", "range", "pattern"][test.kind];
  if (test.kind === VALUE.RANGE) return { kind, from: test.from, to: test.to };
  return {
    kind,
    text: test.pattern?.source ?? Buffer.from(test.text).toString(),
    isCaseIgnored: test.isCaseIgnored,
  };
}
