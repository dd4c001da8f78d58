// Commands of a script that change nothing and print what is: the events so far, conditions, the record of the update, fields of the status.
import {
  avoidedVersion,
  EPHEMERAL_METADATA_ANNOTATION,
  type KubeObject,
  POD_HASH_LABEL,
} from "../api/api.ts";
import { asObject, asStrings, canonicalJson, withoutKeys } from "../lib/json.ts";
import { podsOf } from "./replicasets.ts";
import { START_MS, type World } from "./world.ts";

const DAY_MS = 24 * 3600 * 1000;

/** Its arguments: see arguments.ts. */
interface Show {
  readonly form: string;
  readonly show: (world: World, words: readonly string[]) => readonly string[];
}

/** By the name of the command. */
export const SHOWS: Readonly<Record<string, Show>> = {
  events: { form: "", show: events },
  ingresses: { form: "", show: ingresses },
  conditions: { form: "", show: conditions },
  metadata: { form: "", show: metadata },
  status: { form: "[FIELD...]", show: status },
  published: { form: "[FIELD...]", show: (world, names) => fieldsOf(world.published, names) },
  show: {
    form: "FIELD...",
    show: (world, words) => words.map((path) => `${path}: ${fieldText(world, path)}`),
  },
  experimentstatus: { form: "NAME [FIELD...]", show: experimentstatus },
  runspec: { form: "RUN", show: runspec },
};

/** The reasons of all events so far, in order. */
function events(world: World): readonly string[] {
  return world.events.map(({ reason }, index) => `${String(index + 1).padStart(2)}. ${reason}`);
}

/** One line an Ingress with its annotations below. */
function ingresses(world: World): readonly string[] {
  return [...world.ingresses.values()].flatMap(({ metadata }) => [
    metadata.name,
    ...Object.entries(metadata.annotations ?? {}).map(([key, value]) => `  ${key}: ${value}`),
  ]);
}

/** One line each: type, status, reason and message, and when status and condition last changed. */
function conditions(world: World): readonly string[] {
  return (world.status().conditions ?? []).map((condition) => {
    const { type, reason, message, lastTransitionTime, lastUpdateTime } = condition;
    const times = `since ${clock(lastTransitionTime)}, updated ${clock(lastUpdateTime)}`;
    return `${type}=${condition.status} ${reason}: ${message} (${times})`;
  });
}

/** What templates and pods carry beside the user's own `app`, and what each ReplicaSet remembers as injected. */
function metadata(world: World): readonly string[] {
  return [...world.replicaSets.values()].flatMap((replicaSet) => {
    const { name, annotations } = replicaSet.metadata;
    const template = asObject(asObject(asObject(replicaSet.spec).template).metadata);
    return [
      `${name}: ${carried(template)}${avoids(replicaSet)}`,
      `  remembers ${annotations?.[EPHEMERAL_METADATA_ANNOTATION] ?? "nothing"}`,
      ...podsOf(world, name).map((pod) => `  pod ${pod.metadata.name}: ${carried({ ...pod.metadata })}`),
    ];
  });
}

function avoids(replicaSet: KubeObject): string {
  const { affinity } = asObject(asObject(asObject(replicaSet.spec).template).spec);
  const version = avoidedVersion(affinity);
  return version === undefined ? "" : `, keeps off the nodes of ${version}: ${canonicalJson(affinity)}`;
}

function carried({ labels, annotations }: Readonly<Record<string, unknown>>): string {
  const own = { app: "", [POD_HASH_LABEL]: "" };
  const shown = Object.entries(withoutKeys(asStrings(labels), own)).map(([key, value]) => `${key}=${value}`);
  shown.push(...Object.entries(asStrings(annotations)).map(([key, value]) => `@${key}=${value}`));
  return shown.length === 0 ? "nothing" : shown.sort().join(" ");
}

/** The named fields of the status, all without names; dots lead inward. */
function status(world: World, names: readonly string[]): readonly string[] {
  return fieldsOf(world.rollout.status, names);
}

/** The same of an Experiment's status. */
function experimentstatus(world: World, [name = "", ...names]: readonly string[]): readonly string[] {
  return fieldsOf(world.experiments.get(name)?.status, names);
}

/** The arguments, dry run and retention of an AnalysisRun. */
function runspec(world: World, [name = ""]: readonly string[]): readonly string[] {
  return fieldsOf(world.runs.get(name)?.spec, ["args", "dryRun", "measurementRetention"]);
}

function fieldsOf(all: unknown, names: readonly string[]): readonly string[] {
  const fields = names.length === 0 ? Object.keys(Object(all)).sort() : names;
  return fields.map((name) => {
    const value = name.split(".").reduce<unknown>((at, key) => Object(at)[key], all);
    return `${name}: ${value === undefined ? "absent" : canonicalJson(value)}`;
  });
}

function clock(time: string | undefined): string {
  return time === undefined ? "never" : clockText(Date.parse(time));
}

/** `00:20:00`, the time since the script began; beyond a day `1d 00:20:00`. What was before stands at its beginning. */
export function clockText(atMs: number): string {
  const elapsedMs = Math.max(0, atMs - START_MS);
  const time = new Date(START_MS + elapsedMs).toISOString().slice(11, 19);
  const days = Math.floor(elapsedMs / DAY_MS);
  return days > 0 ? `${days}d ${time}` : time;
}

/** A field of the Rollout as the API holds it, or the size of its workload. */
function fieldText(world: World, path: string): string {
  const [first = "", ...rest] = path.split(".");
  if (first === "workload")
    return [...world.workloads]
      .map(([key, { spec }]) => `${key} ${String(asObject(spec).replicas)}`)
      .join(", ");
  let value: unknown = world.rollout[first];
  for (const key of rest) value = asObject(value)[key];
  return value === undefined ? "none" : JSON.stringify(value);
}
