// What translation to the proxies would say of the HTTPRoutes and TrafficPolicies of manifests: fields that are not carried out, and
// references that lead nowhere. Runs the translation itself, once for every Gateway that the files hold or name, and once for every policy,
// whose targets the files may not hold.
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
  type TrafficPolicy,
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
  const problems = [...own, ...namedGateways(httpRoutes, own)].flatMap((gateway) =>
    translated({
      gateway,
      httpRoutes,
      policies,
      service: (namespace, name) => services.get(`${namespace}/${name}`),
    }),
  );
  const all = [...problems, ...policies.flatMap(policyProblems)];
  return [...new Map(all.map((one) => [JSON.stringify(one), { ...one, path: pathOf(one.field) }])).values()];
}

type Scene = Parameters<typeof translateGateway>[0];

function translated(
  scene: Pick<Scene, "gateway" | "httpRoutes" | "policies" | "service">,
): readonly Problem[] {
  return translateGateway({
    bindAddress: "127.0.0.1",
    intents: [],
    slices: () => [],
    podHash: () => undefined,
    ...scene,
  }).problems;
}

/** What of a policy would be carried out nowhere, whatever its targets are: one of each kind stands for them. */
function policyProblems(policy: TrafficPolicy): readonly Problem[] {
  const { namespace = "", name } = policy.metadata;
  const metadata = { namespace, name: "target" };
  const at = { parentRefs: [{ name: "target" }], rules: [{ backendRefs: [{ name: "target", port: 80 }] }] };
  const listeners = [{ name: "http", port: 80, protocol: "HTTP" }];
  const targetRefs = policy.spec.targetRefs.map(({ group, kind }) => ({
    kind,
    name: "target",
    ...(group !== undefined && { group }),
  }));
  const problems = translated({
    gateway: readGateway({ ...GATEWAY, metadata, spec: { gatewayClassName: "weir", listeners } }).value,
    httpRoutes: [readHttpRoute({ ...GATEWAY, kind: "HTTPRoute", metadata, spec: at }).value],
    policies: [{ ...policy, spec: { ...policy.spec, targetRefs } }],
    service: () =>
      readService({ apiVersion: "v1", kind: "Service", metadata, spec: { ports: [{ port: 80 }] } }).value,
  });
  return problems.filter(({ about }) => about === `TrafficPolicy ${namespace}/${name}`);
}

const GATEWAY = { apiVersion: "gateway.networking.k8s.io/v1", kind: "Gateway" };

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
