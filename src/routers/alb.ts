// The AWS load balancer controller: weights stand in an action annotation of the user's Ingress, header routes in an action, a condition and
// a path of their own. Only keys that are ours are touched; a bookkeeping annotation names them, so that nobody else's are ever removed.
// Source: Argo: rollout/trafficrouting/alb/alb.go, v1.9.
import {
  CLUSTER_RESOURCES,
  type FieldError,
  type HeaderRoute,
  type Ingress,
  type IngressPath,
  type IngressRule,
  invalid,
  type Path,
  type Rollout,
  type RouterState,
  splitFor,
  type TrafficIntent,
  type TrafficRouting,
  WEIGHTS_ONLY,
} from "../api/api.ts";
import { actionText, conditionsText, readAction, readConditions } from "./albaction.ts";
import { keysOf, withKeys } from "./albbook.ts";
import { albStatusOf, balancerNames, verificationOf } from "./albtargets.ts";
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
import { type Observed, type Patch, type Router, together } from "./router.ts";

const DEFAULT_PREFIX = "alb.ingress.kubernetes.io";
/** Seconds for which AWS may keep a client with its target group. */
const STICKINESS = { min: 1, max: 604_800 };
/** The port of a path that leads to an action. */
const USE_ANNOTATION = "use-annotation";
const PATH: Path = ["spec", "strategy", "canary", "trafficRouting", "alb"];

type AlbSettings = NonNullable<TrafficRouting["alb"]>;

export const alb: Router = {
  name: "alb",
  capabilities: {
    ...WEIGHTS_ONLY,
    headerRoutes: "exact",
    experimentWeights: true,
    pingPong: true,
    services: "unlessPingPong",
  },
  types: [CLUSTER_RESOURCES.ingress],
  reads: (rollout) => namesIn(fieldsOf(rollout)).map((name) => ingressName(rollout, name)),
  settingsErrors: (rollout) => [...eitherError(fieldsOf(rollout)), ...stickinessErrors(rollout)],
  problems: (rollout, observed) =>
    ingressProblems(rollout, observed, fieldsOf(rollout), rootServiceOf(rollout)),
  render,
  observe,
  balancers: {
    names: (rollout, observed) => balancerNames(ingressesOf(rollout, observed)),
    read(rollout, observed, answers) {
      const ingresses = ingressesOf(rollout, observed);
      const { servicePort } = settingsOf(rollout);
      const state = observe(rollout, observed);
      const weights = state.kind === "holds" ? state.split.weights : [];
      const services = { canary: weights[0]?.service ?? "", stable: weights.at(-1)?.service ?? "" };
      return {
        verification: verificationOf(ingresses, servicePort, answers),
        status: albStatusOf(rollout, ingresses, services, servicePort, answers),
      };
    },
  },
};

function ingressesOf(rollout: Rollout, observed: Observed): readonly Ingress[] {
  return namesIn(fieldsOf(rollout)).flatMap((name) => findIngress(rollout, observed, name) ?? []);
}

function render(rollout: Rollout, intent: TrafficIntent, observed: Observed): readonly Patch[] {
  return namesIn(fieldsOf(rollout)).flatMap((name): readonly Patch[] => {
    const ingress = findIngress(rollout, observed, name);
    if (ingress === undefined || !usesService(ingress, rootServiceOf(rollout))) return [];
    const booked = keysOf(ingress.metadata.annotations ?? {}, rollout.metadata.name);
    if (booked === undefined) return [];
    const wanted = wantedIngress(rollout, intent, ingress, booked);
    const event = eventOf(rollout, intent, ingress, wanted);
    const patch = ingressPatch(ingressName(rollout, name), ingress, wanted, event);
    return patch === undefined ? [] : [patch];
  });
}

/** The Ingress with our part of it as it should be. `booked`: the keys that were ours until now. */
function wantedIngress(
  rollout: Rollout,
  intent: TrafficIntent,
  ingress: Ingress,
  booked: readonly string[],
): Ingress {
  const { headerRoutes } = splitFor(intent, alb.capabilities);
  const ours = annotationsOf(rollout, intent);
  const mayBeOurs = new Set([
    ...booked,
    ...managedNames(rollout).flatMap((name) => routeKeys(rollout, name)),
  ]);
  const kept = Object.entries(ingress.metadata.annotations ?? {}).filter(([key]) => !mayBeOurs.has(key));
  const annotations = { ...Object.fromEntries(kept), ...ours };
  const wanted = headerRoutes.map(({ name }) => name);
  const routes = new Set([...wanted, ...managedNames(rollout), ...routeNames(rollout, booked)]);
  return {
    ...ingress,
    metadata: {
      ...ingress.metadata,
      annotations: withKeys(annotations, rollout.metadata.name, Object.keys(ours)),
    },
    spec: {
      ...ingress.spec,
      ...(ingress.spec.rules === undefined
        ? {}
        : { rules: ingress.spec.rules.map((rule) => withRoutes(rule, wanted, routes)) }),
    },
  };
}

/** Our annotations, the one of the weights first. */
function annotationsOf(rollout: Rollout, intent: TrafficIntent): Readonly<Record<string, string>> {
  const { weights, headerRoutes } = splitFor(intent, alb.capabilities);
  const settings = settingsOf(rollout);
  const toCanary = actionText(settings, [{ service: intent.canaryService, weight: 100 }]);
  const routes = headerRoutes.flatMap((route): [string, string][] => [
    [actionKey(rollout, route.name), toCanary],
    [conditionKey(rollout, route.name), conditionsText(route)],
  ]);
  return {
    [actionKey(rollout, rootServiceOf(rollout))]: actionText(settings, weights),
    ...Object.fromEntries(routes),
  };
}

/** The rule with a path for each wanted route before all others; paths of routes that are no longer wanted go. */
function withRoutes(rule: IngressRule, wanted: readonly string[], ours: ReadonlySet<string>): IngressRule {
  if (rule.http === undefined) return rule;
  const { paths } = rule.http;
  const leadsTo = (path: IngressPath): string | undefined =>
    path.backend.service?.port?.name === USE_ANNOTATION ? path.backend.service.name : undefined;
  const routed = wanted.map((name) => paths.find((path) => leadsTo(path) === name) ?? pathOf(name));
  const others = paths.filter((path) => !ours.has(leadsTo(path) ?? ""));
  return { ...rule, http: { ...rule.http, paths: [...routed, ...others] } };
}

/** A path that leads to an action instead of a Service. */
function pathOf(name: string): IngressPath {
  return {
    path: "/*",
    pathType: "ImplementationSpecific",
    backend: { service: { name, port: { name: USE_ANNOTATION } } },
  };
}

/** One write, one event: of the weights if they change, else of the routes. */
function eventOf(rollout: Rollout, intent: TrafficIntent, before: Ingress, after: Ingress): Patch["event"] {
  const key = actionKey(rollout, rootServiceOf(rollout));
  const isWeight = before.metadata.annotations?.[key] !== after.metadata.annotations?.[key];
  const { weights, headerRoutes } = splitFor(intent, alb.capabilities);
  const names = headerRoutes.map(({ name }) => name).join(", ");
  const what = isWeight
    ? `to desiredWeight '${weights[0]?.weight ?? 0}'`
    : names === ""
      ? "removing managed routes"
      : `to headerRoute '${names}'`;
  return { reason: "PatchingALBIngress", message: `Updating Ingress \`${before.metadata.name}\` ${what}` };
}

function observe(rollout: Rollout, observed: Observed): RouterState {
  return together(
    namesIn(fieldsOf(rollout)).map((name): RouterState => {
      const ingress = findIngress(rollout, observed, name);
      return ingress === undefined ? { kind: "nothing" } : stateOf(rollout, ingress);
    }),
  );
}

/** What one Ingress holds. */
function stateOf(rollout: Rollout, ingress: Ingress): RouterState {
  const { name, annotations = {} } = ingress.metadata;
  const settings = settingsOf(rollout);
  const booked = keysOf(annotations, rollout.metadata.name);
  if (booked === undefined)
    return { kind: "refused", why: `ingress \`${name}\`: the list of managed annotations cannot be read` };
  const weights = readAction(settings, annotations[actionKey(rollout, rootServiceOf(rollout))] ?? "");
  const canaryService = weights?.[0]?.service;
  if (weights === undefined || canaryService === undefined) return { kind: "nothing" };
  const toCanary = actionText(settings, [{ service: canaryService, weight: 100 }]);
  const headerRoutes = routeNames(rollout, booked).flatMap((route): HeaderRoute[] => {
    const matches = readConditions(annotations[conditionKey(rollout, route)] ?? "");
    const isWhole = annotations[actionKey(rollout, route)] === toCanary && usesService(ingress, route);
    return isWhole && matches !== undefined ? [{ name: route, matches }] : [];
  });
  return { kind: "holds", split: { weights, headerRoutes } };
}

/** Names of the header routes among keys that are ours. */
function routeNames(rollout: Rollout, keys: readonly string[]): readonly string[] {
  const prefix = conditionKey(rollout, "");
  return keys.filter((key) => key.startsWith(prefix)).map((key) => key.slice(prefix.length));
}

function routeKeys(rollout: Rollout, name: string): readonly string[] {
  return [actionKey(rollout, name), conditionKey(rollout, name)];
}

function actionKey(rollout: Rollout, name: string): string {
  return `${prefixOf(rollout)}/actions.${name}`;
}

function conditionKey(rollout: Rollout, name: string): string {
  return `${prefixOf(rollout)}/conditions.${name}`;
}

function managedNames(rollout: Rollout): readonly string[] {
  return (rollout.spec.strategy?.canary?.trafficRouting?.managedRoutes ?? []).map(({ name }) => name);
}

function settingsOf(rollout: Rollout): AlbSettings {
  return rollout.spec.strategy?.canary?.trafficRouting?.alb ?? { servicePort: 0 };
}

function fieldsOf(rollout: Rollout): IngressFields {
  const { ingress, ingresses } = settingsOf(rollout);
  return {
    path: PATH,
    single: { field: "ingress", value: ingress },
    several: { field: "ingresses", value: ingresses },
  };
}

/** The Service that the user's rules name and that the action stands for. */
function rootServiceOf(rollout: Rollout): string {
  const { rootService = "" } = settingsOf(rollout);
  return rootService === "" ? (rollout.spec.strategy?.canary?.stableService ?? "") : rootService;
}

function prefixOf(rollout: Rollout): string {
  const { annotationPrefix = "" } = settingsOf(rollout);
  return annotationPrefix === "" ? DEFAULT_PREFIX : annotationPrefix;
}

/** Argo finds this out when it writes the weight, and then at every pass. */
function stickinessErrors(rollout: Rollout): readonly FieldError[] {
  const { stickinessConfig: config } = settingsOf(rollout);
  if (config?.enabled !== true) return [];
  const { durationSeconds } = config;
  if (durationSeconds >= STICKINESS.min && durationSeconds <= STICKINESS.max) return [];
  const words = "TargetGroupStickinessConfig's duration must be between 1 and 604800 seconds (7 days)!";
  const path = [...PATH, "stickinessConfig", "durationSeconds"];
  return [invalid(path, String(durationSeconds), words, path.join("."))];
}
