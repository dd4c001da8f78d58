// The nginx Ingress controller's canaries: beside each stable Ingress a second one of our own, which holds the rules of the stable Service
// with the canary Service in its place, and the weight as an annotation. The user's Ingress is never written to.
// Source: Argo: rollout/trafficrouting/nginx/nginx.go, v1.9.
import {
  CLUSTER_RESOURCES,
  controllerOf,
  type Ingress,
  type IngressRule,
  type KubeObject,
  type OwnerReference,
  type Rollout,
  type RouterState,
  splitFor,
  type TrafficIntent,
  WEIGHTS_ONLY,
} from "../api/api.ts";
import {
  eitherError,
  findIngress,
  type IngressFields,
  ingressName,
  ingressPatch,
  ingressProblems,
  namesIn,
  usesService,
} from "./ingress.ts";
import { type ObjectName, type Observed, type Patch, type Router, together } from "./router.ts";

const SUFFIX = "-canary";
/** Of an object's name. */
const MAX_NAME = 253;
const DEFAULT_PREFIX = "nginx.ingress.kubernetes.io";
/** How Ingresses named their class before they had a field for it. */
const CLASS_ANNOTATION = "kubernetes.io/ingress.class";

export const nginx: Router = {
  name: "nginx",
  capabilities: { ...WEIGHTS_ONLY, maxTrafficWeight: true },
  types: [CLUSTER_RESOURCES.ingress],
  reads: (rollout) =>
    namesIn(fieldsOf(rollout)).flatMap((name) => [ingressName(rollout, name), canaryName(rollout, name)]),
  settingsErrors: (rollout) => eitherError(fieldsOf(rollout)),
  problems: (rollout, observed) =>
    ingressProblems(rollout, observed, fieldsOf(rollout), stableServiceOf(rollout)),
  render,
  observe,
};

function render(rollout: Rollout, intent: TrafficIntent, observed: Observed): readonly Patch[] {
  return namesIn(fieldsOf(rollout)).flatMap((name): readonly Patch[] => {
    const stable = findIngress(rollout, observed, name);
    const at = canaryName(rollout, name);
    const current = findIngress(rollout, observed, at.name);
    if (stable === undefined || !usesService(stable, intent.stableService)) return [];
    if (current !== undefined && !isOurs(rollout, current)) return [];
    const patch = patchOf(rollout, at, current, canaryIngress(rollout, intent, stable, at.name));
    return patch === undefined ? [] : [patch];
  });
}

/** Whether the Rollout made the Ingress: nobody else's is written to. */
function isOurs(rollout: Rollout, ingress: Ingress): boolean {
  return controllerOf(ingress)?.uid === rollout.metadata.uid;
}

function patchOf(
  rollout: Rollout,
  name: ObjectName,
  current: Ingress | undefined,
  wanted: Ingress,
): Patch | undefined {
  const weight = wanted.metadata.annotations?.[annotation(rollout, "canary-weight")];
  if (current === undefined) {
    const message = `Creating canary ingress \`${name.name}\` with weight \`${weight}\``;
    // An Ingress is an object of the API; only the type of its spec is narrower.
    const object = wanted as KubeObject;
    return { verb: "create", name, object, event: { reason: "CreatingCanaryIngress", message } };
  }
  const message = `Updating Ingress \`${name.name}\` to desiredWeight '${weight}'`;
  return ingressPatch(name, current, wanted, { reason: "PatchingCanaryIngress", message });
}

/** The canary Ingress as it should be. */
function canaryIngress(rollout: Rollout, intent: TrafficIntent, stable: Ingress, name: string): Ingress {
  const { tls, ingressClassName, rules = [] } = stable.spec;
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "Ingress",
    metadata: {
      name,
      namespace: intent.namespace,
      annotations: annotationsOf(rollout, intent, stable),
      ownerReferences: [owner(rollout)],
    },
    spec: {
      ...(ingressClassName === undefined ? {} : { ingressClassName }),
      ...(tls === undefined ? {} : { tls }),
      rules: rules.flatMap((rule) => canaryRule(rule, intent)),
    },
  };
}

/** The whole rule with the canary in the place of stable; nothing of a rule that does not use stable. */
function canaryRule(rule: IngressRule, { stableService, canaryService }: TrafficIntent): IngressRule[] {
  const paths = rule.http?.paths ?? [];
  if (!paths.some(({ backend }) => backend.service?.name === stableService)) return [];
  return [
    {
      ...rule,
      http: {
        ...rule.http,
        paths: paths.map((path) => {
          const { service } = path.backend;
          if (service?.name !== stableService) return path;
          return { ...path, backend: { ...path.backend, service: { ...service, name: canaryService } } };
        }),
      },
    },
  ];
}

/** All annotations that the canary Ingress has: those of the weight win over what the user adds. */
function annotationsOf(rollout: Rollout, intent: TrafficIntent, stable: Ingress): Record<string, string> {
  const { additionalIngressAnnotations = {}, canaryIngressAnnotations = {} } = settingsOf(rollout);
  const ingressClass = stable.metadata.annotations?.[CLASS_ANNOTATION];
  const [canary] = splitFor(intent, nginx.capabilities).weights;
  const total = rollout.spec.strategy?.canary?.trafficRouting?.maxTrafficWeight;
  const prefix = prefixOf(rollout);
  const additional = Object.entries(additionalIngressAnnotations).map(([key, value]) => [
    key.startsWith(prefix) ? key : annotation(rollout, key),
    value,
  ]);
  return {
    ...(ingressClass === undefined ? {} : { [CLASS_ANNOTATION]: ingressClass }),
    ...Object.fromEntries(additional),
    ...canaryIngressAnnotations,
    [annotation(rollout, "canary")]: "true",
    [annotation(rollout, "canary-weight")]: String(canary?.weight ?? 0),
    ...(total === undefined ? {} : { [annotation(rollout, "canary-weight-total")]: String(total) }),
  };
}

function observe(rollout: Rollout, observed: Observed): RouterState {
  return together(
    namesIn(fieldsOf(rollout)).map((name): RouterState => {
      const at = canaryName(rollout, name).name;
      const canary = findIngress(rollout, observed, at);
      if (canary === undefined) return { kind: "nothing" };
      if (isOurs(rollout, canary)) return stateOf(rollout, canary);
      return { kind: "refused", why: `canary ingress \`${at}\` controlled by different object` };
    }),
  );
}

/** The split that one canary Ingress stands for. */
function stateOf(rollout: Rollout, canary: Ingress): RouterState {
  const annotations = canary.metadata.annotations ?? {};
  const { canaryService = "" } = rollout.spec.strategy?.canary ?? {};
  const weight = Number(annotations[annotation(rollout, "canary-weight")] ?? Number.NaN);
  const total = Number(annotations[annotation(rollout, "canary-weight-total")] ?? 100);
  const isOn = annotations[annotation(rollout, "canary")] === "true";
  const isWhole = isOn && Number.isInteger(weight) && Number.isInteger(total);
  if (!isWhole || !usesService(canary, canaryService)) return { kind: "nothing" };
  const weights = [
    { service: canaryService, weight },
    { service: stableServiceOf(rollout), weight: total - weight },
  ];
  return { kind: "holds", split: { weights, headerRoutes: [] } };
}

function settingsOf(rollout: Rollout) {
  return rollout.spec.strategy?.canary?.trafficRouting?.nginx ?? {};
}

function fieldsOf(rollout: Rollout): IngressFields {
  const { stableIngress, stableIngresses } = settingsOf(rollout);
  return {
    path: ["spec", "strategy", "canary", "trafficRouting", "nginx"],
    single: { field: "stableIngress", value: stableIngress },
    several: { field: "stableIngresses", value: stableIngresses, fieldOfMissing: "StableIngresses" },
  };
}

function stableServiceOf(rollout: Rollout): string {
  return rollout.spec.strategy?.canary?.stableService ?? "";
}

function prefixOf(rollout: Rollout): string {
  const { annotationPrefix = "" } = settingsOf(rollout);
  return annotationPrefix === "" ? DEFAULT_PREFIX : annotationPrefix;
}

function annotation(rollout: Rollout, key: string): string {
  return `${prefixOf(rollout)}/${key}`;
}

function canaryName(rollout: Rollout, stableIngress: string): ObjectName {
  const prefix = `${rollout.metadata.name}-${stableIngress}`.slice(0, MAX_NAME - SUFFIX.length);
  return ingressName(rollout, `${prefix}${SUFFIX}`);
}

/** So that the canary Ingress goes with the Rollout. */
function owner({ apiVersion, kind, metadata }: Rollout): OwnerReference {
  const { name, uid = "" } = metadata;
  return { apiVersion, kind, name, uid, controller: true, blockOwnerDeletion: true };
}
