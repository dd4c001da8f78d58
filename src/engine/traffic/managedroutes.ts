// Header and mirror routes: which are in force follows from the steps up to the current one alone, in the order of `managedRoutes`; none outside
// of the steps (promoted, aborted, promoted in full), and none while the canary could not answer. Source: Argo: rollout/trafficrouting.go, v1.9;
// there a route may lead to a canary without pods.
import type {
  CanaryStep,
  HeaderMatch,
  ManagedRoute,
  MirrorMatch,
  StepMember,
  TextMatch,
  TrafficIntent,
} from "../../api/api.ts";
import type { Context } from "../context.ts";
import type { Wait } from "../plan.ts";
import { availableOf } from "../pods/replicaset.ts";
import { targetSizes } from "../pods/scaling.ts";
import { afterUser, hasPause, isStepBegun, type Mode, modeOf, type Stage } from "../stage.ts";
import { type InForce, inForceOf } from "./inforce.ts";
import { intentOf } from "./intent.ts";
import { isSelected } from "./weights.ts";

type StringMatch = NonNullable<NonNullable<CanaryStep["setHeaderRoute"]>["match"]>[number]["headerValue"];

export interface RoutePlan {
  /** The routes to hold from now on. */
  readonly routes: readonly ManagedRoute[];
  /** Why the routes that the steps ask for are not in force; nothing when they are, or none is asked for. */
  readonly waits: readonly Wait[];
}

/** The routes that the steps ask for, or none and what the canary lacks for them. */
export function planRoutes(context: Context, mode: Mode, stage: Stage): RoutePlan {
  const { wanted, lack } = asked(context, mode, stage);
  if (lack === undefined) return { routes: wanted, waits: [] };
  const names = wanted.map(({ name }) => name).join(", ");
  const text = `${wanted.length === 1 ? "route" : "routes"} ${names}: ${lack.words}`;
  return { routes: [], waits: [{ code: "replicas", text }] };
}

/** Whether a step that sets a route waits for pods: only for those that are on their way. */
export function isRouteDue(context: Context, mode: Mode, stage: Stage): boolean {
  return asked(context, mode, stage).lack?.isComing === true;
}

/** Whether what the status tells, weights and routes, is in force in the proxies. */
export function inForceNow(context: Context): InForce {
  return inForceOf(context, routesNow(context));
}

/** What routers are asked for by what the status tells; undefined before any weights are. */
export function intentNow(context: Context): TrafficIntent | undefined {
  const { weights } = context.status.canary ?? {};
  return context.hasRouter && weights !== undefined
    ? intentOf(context, weights, routesNow(context))
    : undefined;
}

function routesNow(context: Context): readonly ManagedRoute[] {
  const { stage } = afterUser(context);
  return planRoutes(context, modeOf(context, stage), stage).routes;
}

/** What the canary lacks to be led to. */
interface Lack {
  readonly words: string;
  /** It is on its way. */
  readonly isComing: boolean;
}

/** The routes that the steps ask for, and why they cannot be had. */
function asked(
  context: Context,
  mode: Mode,
  stage: Stage,
): { readonly wanted: readonly ManagedRoute[]; readonly lack: Lack | undefined } {
  const wanted = wantedRoutes(context, mode, stage);
  return { wanted, lack: wanted.length === 0 ? undefined : lackOf(context, mode, stage) };
}

function wantedRoutes(context: Context, mode: Mode, stage: Stage): readonly ManagedRoute[] {
  const declared = new Set(context.canary.trafficRouting?.managedRoutes?.map(({ name }) => name));
  if (!context.hasRouter || mode !== "steps") return [];
  // A step that was come to while an inconclusive analysis waits for somebody sets nothing yet.
  const isHeld = hasPause(stage, "InconclusiveAnalysisRun") && !isStepBegun(stage);
  const set = new Map(
    context.steps
      .slice(0, (stage.index ?? 0) + (isHeld ? 0 : 1))
      .flatMap((step) => step.flatMap((member) => routeOf(member) ?? []))
      .map((route) => [route.name, route] as const),
  );
  // A step without a match takes the route of its name away.
  return [...declared].flatMap((name) => set.get(name) ?? []).filter(({ matches }) => matches.length > 0);
}

function routeOf(member: StepMember): ManagedRoute | undefined {
  if (member.kind === "setHeaderRoute") return headerRoute(member.route);
  return member.kind === "setMirrorRoute" ? mirrorRoute(member.route) : undefined;
}

function lackOf(context: Context, mode: Mode, stage: Stage): Lack | undefined {
  if (targetSizes(context, mode, stage).canary === 0) {
    const words = "the canary has no pods at this step; setWeight or setCanaryScale gives it some";
    return { words, isComing: false };
  }
  if (availableOf(context.roles.current) === 0)
    return { words: "no pod of the canary is available yet", isComing: true };
  if (!isSelected(context))
    return { words: "the canary Service does not select the canary's pods yet", isComing: true };
  return undefined;
}

function headerRoute({ name = "", match = [] }: NonNullable<CanaryStep["setHeaderRoute"]>): ManagedRoute {
  const matches = match.flatMap(({ headerName, headerValue }) => headerMatch(headerName, headerValue));
  return { kind: "header", name, matches };
}

function mirrorRoute({
  name,
  match = [],
  percentage = 100,
}: NonNullable<CanaryStep["setMirrorRoute"]>): ManagedRoute {
  const matches = match.map((one): MirrorMatch => {
    const method = textMatch(one.method);
    const path = textMatch(one.path);
    const headers = Object.entries(one.headers ?? {}).flatMap(([header, value]) =>
      headerMatch(header, value),
    );
    return { ...(method && { method }), ...(path && { path }), headers };
  });
  return { kind: "mirror", name, matches, percent: percentage };
}

function headerMatch(name: string, match: StringMatch): readonly HeaderMatch[] {
  const value = textMatch(match);
  return value === undefined ? [] : [{ name, value }];
}

function textMatch(match: StringMatch | undefined): TextMatch | undefined {
  for (const kind of ["exact", "prefix", "regex"] as const) {
    const value = match?.[kind] ?? "";
    if (value !== "") return { kind, value };
  }
  return undefined;
}
