// What translation to the proxies would say of the HTTPRoutes and TrafficPolicies of manifests: fields that are not carried out, and
// references that lead nowhere. Runs the translation itself, once for every Gateway that the files hold or name.
import {
  type Gateway,
  type HttpRoute,
  type KubeObject,
  type Path,
  readExperiment,
  readGateway,
  readHttpRoute,
  readService,
  readTrafficPolicy,
} from "../api/api.ts";
import { namespaceOf } from "../simulate/simulate.ts";
import { type Problem, translateGateway } from "../translate/translate.ts";

export interface RouteProblem extends Problem {
  readonly path: Path;
}

/** The problems of all Gateways, each once. `objects` carry their namespaces. */
export function routeProblems(objects: readonly KubeObject[]): readonly RouteProblem[] {
  const of = (kind: string): readonly KubeObject[] => objects.filter((object) => object.kind === kind);
  const httpRoutes = of("HTTPRoute").map((object) => readHttpRoute(object).value);
  const policies = of("TrafficPolicy").map((object) => readTrafficPolicy(object).value);
  if (httpRoutes.length + policies.length === 0) return [];
  const services = new Map(
    [...of("Experiment").flatMap(servicesOfExperiment), ...of("Service")].map((object) => [
      `${namespaceOf(object)}/${object.metadata.name}`,
      readService(object).value,
    ]),
  );
  const own = of("Gateway").map((object) => readGateway(object).value);
  const found = new Map<string, RouteProblem>();
  for (const gateway of [...own, ...namedGateways(httpRoutes, own)]) {
    const { problems } = translateGateway({
      gateway,
      bindAddress: "127.0.0.1",
      httpRoutes,
      policies,
      intents: [],
      service: (namespace, name) => services.get(`${namespace}/${name}`),
      slices: () => [],
      podHash: () => undefined,
    });
    for (const problem of problems)
      found.set(JSON.stringify(problem), { ...problem, path: pathOf(problem.field) });
  }
  return [...found.values()];
}

/** The Services that an Experiment makes for its templates, named and with ports as it makes them. */
function servicesOfExperiment(object: KubeObject): readonly KubeObject[] {
  const { metadata, spec } = readExperiment(object).value;
  return spec.templates.flatMap(({ name, service, template }) => {
    if (service === undefined) return [];
    const own = service.name ?? "";
    const ports = (template.spec?.containers ?? []).flatMap((container) => container.ports ?? []);
    return [
      {
        apiVersion: "v1",
        kind: "Service",
        metadata: { name: own === "" ? `${metadata.name}-${name}` : own, namespace: namespaceOf(object) },
        spec: { ports: ports.map(({ containerPort }) => ({ port: containerPort })) },
      },
    ];
  });
}

/** Gateways that routes name and that the files do not hold: each with the listeners that are asked of it. */
function namedGateways(routes: readonly HttpRoute[], own: readonly Gateway[]): readonly Gateway[] {
  const known = new Set(own.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`));
  const made = new Map<string, Gateway>();
  for (const { metadata, spec } of routes) {
    for (const { namespace = metadata.namespace ?? "", name, sectionName, port } of spec?.parentRefs ?? []) {
      const key = `${namespace}/${name}`;
      if (known.has(key)) continue;
      const before = made.get(key);
      const listener = { name: sectionName ?? "http", port: port ?? 80, protocol: "HTTP" };
      const others = before?.spec?.listeners ?? [];
      const isNew = others.every((other) => other.name !== listener.name || other.port !== listener.port);
      made.set(key, {
        apiVersion: "gateway.networking.k8s.io/v1",
        kind: "Gateway",
        metadata: { namespace, name },
        spec: { gatewayClassName: "weir", listeners: isNew ? [...others, listener] : others },
        status: {},
      });
    }
  }
  return [...made.values()];
}

/** `spec.rules[0].filters[1]` as a path. */
function pathOf(field: string): Path {
  return field
    .split(/[.[\]]+/)
    .filter((part) => part !== "")
    .map((part) => (/^\d+$/.test(part) ? Number(part) : part));
}
