// The decision in words: built with every plan, printed by `weir explain`. Says nothing that the plan does not hold.
import {
  type HeaderMatch,
  type ManagedRoute,
  REVISION_ANNOTATION,
  type ReplicaSet,
  type RolloutStatus,
  stepText,
  type TextMatch,
  type TrafficIntent,
} from "../../api/api.ts";
import { humanDuration } from "../../lib/duration.ts";
import type { Context } from "../context.ts";
import type { Action, ExplainedVersion, Explanation, Plan, Wait } from "../plan.ts";
import { countsOf, podHashOf, revisionOf } from "../pods/replicaset.ts";
import { weightOf } from "../traffic/inforce.ts";
import { replicaFailure } from "./conditions.ts";
import { metricLines } from "./explainmetrics.ts";
import { nextOf, waysOn, withBegin } from "./explainwaits.ts";

interface Decided {
  readonly planner: string;
  readonly traffic: TrafficIntent | undefined;
  readonly status: RolloutStatus;
  readonly actions: readonly Action[];
  readonly waits: readonly Wait[];
  readonly next: string;
}

/** Lines of one list at most. */
const MAX_LINES = 6;

/** The lines of `weir explain`, one thing each, few enough for a screen. With `nowMs`, waits say since when and how long they still take. */
export function explain(plan: Plan, nowMs?: number): readonly string[] {
  const { phase, message, planner, revision, step, versions, waits, does, next } = plan.explanation;
  const { routes, metrics, ways } = plan.explanation;
  const lines = [headline(phase, message, waits.slice(0, MAX_LINES))];
  lines.push(`decided by: ${planner}${revision === undefined ? "" : `, revision ${revision}`}`);
  if (step !== undefined) {
    const position =
      step.index >= step.count ? `all ${step.count} done` : `${step.index + 1} of ${step.count}`;
    lines.push(`step: ${position}${step.text === "" ? "" : ` (${step.text})`}`);
  }
  for (const version of versions) {
    const weight = version.weight === undefined ? "" : `, ${version.weight} % of the traffic`;
    const pods = `${version.available} of ${version.desired} pods available`;
    lines.push(`${version.role}: ${version.replicaSet}, ${pods}${weight}`);
  }
  const waited = waits.map((wait) => `${wait.text}${timesOf(wait, nowMs)}`);
  const { warnings } = plan;
  const lists = { route: routes, metric: metrics, waits: waited, "moves on": ways, does, warning: warnings };
  for (const [name, items] of Object.entries(lists))
    lines.push(...shortened(items).map((item) => `${name}: ${item}`));
  lines.push(`next: ${next}`);
  if (nowMs !== undefined && plan.requeueAtMs !== undefined)
    lines.push(`looks again: in ${humanDuration(plan.requeueAtMs - nowMs)}, or when something changes`);
  return lines;
}

/** The phase and its message, without the words that a wait says anyway, with since when: what makes a spec invalid. */
function headline(phase: string, message: string, waits: readonly Wait[]): string {
  const said = waits.find(({ text }) => message.endsWith(`: ${text}`));
  const rest = said === undefined ? message : message.slice(0, -`: ${said.text}`.length);
  return rest === "" ? phase : `${phase}: ${rest}`;
}

/** The first of a list, and how many more there are: metrics, routes and pods may be many. */
function shortened(items: readonly string[]): readonly string[] {
  const left = items.length - MAX_LINES;
  return left > 0 ? [...items.slice(0, MAX_LINES), `and ${left} more`] : items;
}

/** ` (2m so far, 8m left)`. */
function timesOf({ sinceMs, untilMs }: Wait, nowMs: number | undefined): string {
  if (nowMs === undefined) return "";
  const parts = [
    ...(sinceMs === undefined || sinceMs >= nowMs ? [] : [`${humanDuration(nowMs - sinceMs)} so far`]),
    ...(untilMs === undefined ? [] : [`${humanDuration(untilMs - nowMs)} left`]),
  ];
  return parts.length === 0 ? "" : ` (${parts.join(", ")})`;
}

/** The explanation that goes with a plan. */
export function explanationOf(context: Context, decided: Decided): Explanation {
  const { status, planner, actions, next } = decided;
  const revision = Number(context.rollout.metadata.annotations?.[REVISION_ANNOTATION] ?? Number.NaN);
  const step = stepOf(context, status);
  const after = { ...context, status };
  const waits = withBegin(after, [...decided.waits, ...failureWaits(context)]);
  return {
    phase: status.phase ?? "",
    message: status.message ?? "",
    ...(Number.isNaN(revision) ? {} : { revision }),
    planner,
    versions: versionsOf(context, status),
    routes: (decided.traffic?.routes ?? []).map(routeWords),
    ...(step === undefined ? {} : { step }),
    metrics: metricLines(after),
    waits,
    ways: waysOn(after, waits, planner === "abort"),
    does: actions.map(actionText),
    next: nextOf(after, waits, { isOver: planner === "abort" || planner === "promoted", next }),
  };
}

/** Pods that cannot even be made: a quota, or a template that is refused. */
function failureWaits(context: Context): readonly Wait[] {
  const failure = replicaFailure(context);
  if (failure === undefined) return [];
  return [{ code: "replicas", text: `ReplicaSet ${failure.name} cannot make its pods: ${failure.message}` }];
}

/** One managed route as a line: `beta (header): X-Group = b -> canary`. */
function routeWords(route: ManagedRoute): string {
  if (route.kind === "header") {
    const matches = route.matches.map(headerWords).join(" or ");
    return `${route.name} (header): ${matches} -> canary`;
  }
  const matches = route.matches.map(({ method, path, headers }) => {
    const parts = [
      ...(method === undefined ? [] : [`method ${textWords(method)}`]),
      ...(path === undefined ? [] : [`path ${textWords(path)}`]),
      ...headers.map(headerWords),
    ];
    return parts.length === 0 ? "everything" : parts.join(" and ");
  });
  return `${route.name} (mirror): copies of ${route.percent} % of ${matches.join(" or ")} -> canary`;
}

function headerWords({ name, value }: HeaderMatch): string {
  return `${name} ${textWords(value)}`;
}

function textWords({ kind, value }: TextMatch): string {
  return `${{ exact: "=", prefix: "begins with", regex: "~" }[kind]} ${value}`;
}

/** One action as a line. */
export function actionText(action: Action): string {
  const isSize = action.kind === "scaleReplicaSet" || action.kind === "scaleWorkload";
  const size = isSize ? ` ${action.from} -> ${action.replicas}` : "";
  const version = action.kind === "selectPods" ? ` -> ${action.podHash}` : "";
  return `${action.kind} ${action.name}${size}${version}: ${action.reason}`;
}

/** The place in the steps; undefined where the status tells one of another version, or of other steps, than the spec has (it is invalid, say). */
function stepOf(context: Context, status: RolloutStatus): Explanation["step"] {
  const { currentStepIndex: index, currentPodHash, currentStepHash = "" } = status;
  const count = context.steps.length;
  const isOfSpec = currentPodHash === context.podHash && currentStepHash === context.stepHash;
  if (index === undefined || count === 0 || !isOfSpec) return undefined;
  const step = context.canary.steps?.[index];
  return { index, count, text: step === undefined ? "" : stepText(step) };
}

function versionsOf(context: Context, status: RolloutStatus): readonly ExplainedVersion[] {
  if (context.strategy.kind === "blueGreen") return blueGreenVersions(context, status);
  const stable = context.roles.owned.find((replicaSet) => podHashOf(replicaSet) === status.stableRS);
  const { current, owned } = context.roles;
  const canary = current === stable ? undefined : current;
  const old = owned
    .filter((item) => item !== stable && item !== current && countsOf(item).spec > 0)
    .sort((a, b) => revisionOf(b) - revisionOf(a));
  return [
    ...(stable === undefined ? [] : [version(context, status, stable, "stable")]),
    ...(canary === undefined ? [] : [version(context, status, canary, "canary")]),
    ...old.map((replicaSet) => version(context, status, replicaSet, "old")),
  ];
}

/** Active first, then the one that is to be. */
function blueGreenVersions(context: Context, status: RolloutStatus): readonly ExplainedVersion[] {
  const roleOf = (podHash: string): ExplainedVersion["role"] => {
    if (podHash === status.blueGreen?.activeSelector) return "active";
    if (podHash === status.currentPodHash) return "preview";
    return podHash === status.stableRS ? "stable" : "old";
  };
  const order = ["active", "preview", "stable", "old"];
  return context.roles.owned
    .map((replicaSet) => version(context, status, replicaSet, roleOf(podHashOf(replicaSet))))
    .filter(({ role, desired }) => role !== "old" || desired > 0)
    .sort((a, b) => order.indexOf(a.role) - order.indexOf(b.role));
}

function version(
  context: Context,
  status: RolloutStatus,
  replicaSet: ReplicaSet,
  role: ExplainedVersion["role"],
): ExplainedVersion {
  const podHash = podHashOf(replicaSet);
  const { spec: desired, available } = countsOf(replicaSet);
  const { weights } = status.canary ?? {};
  const base = { role, podHash, replicaSet: replicaSet.metadata.name, desired, available };
  if (weights === undefined) return base;
  // To a hundredth of a percent.
  return { ...base, weight: Math.round((weightOf(weights, podHash) * 10_000) / context.maxWeight) / 100 };
}
