// What is wrong with the objects of manifests, each by itself and together: schema and rules of every object, then what Rollouts name among
// the others. An object that the files do not hold may well be in the cluster: that is a note, not an error (as in Argo's lint, which
// says nothing of it). Pure; never throws on whatever was parsed.
import {
  didYouMean,
  fieldErrorText,
  formatPath,
  type KubeObject,
  lint,
  type Path,
  RESOURCES,
  readExperiment,
  readRollout,
  rolloutErrors,
} from "../api/api.ts";
import { experimentProblems, findReferenceProblems, type Snapshot } from "../engine/decide.ts";
import { CAPABILITIES, routerSettingsErrors } from "../routers/routers.ts";
import { namespaceOf, worldOfFiles } from "../simulate/simulate.ts";
import { conditionFaults } from "./lintconditions.ts";
import { routeProblems } from "./lintroutes.ts";
import type { FileObject, FileObjects, ForeignObject, Place } from "./manifests.ts";

/** `error`: the object is refused, or degraded, as it stands. `note`: it depends on what the files do not hold. */
export type Severity = "error" | "note";

export interface LintFinding extends Place {
  readonly severity: Severity;
  /** `Rollout default/web`; empty for text that gave no object. */
  readonly object: string;
  /** As Kubernetes spells it; empty for the object as a whole. */
  readonly field: string;
  readonly message: string;
  /** What to do about it; may be empty. */
  readonly mend: string;
}

/** Groups whose misspelt kinds are weir's business. */
const OWN_GROUPS = ["argoproj.io", "weir.dev", "gateway.networking.k8s.io"];

/** All findings, in the order of files and lines. */
export function lintObjects(read: readonly FileObjects[]): readonly LintFinding[] {
  const objects = read.flatMap((file) => file.objects);
  const others = read.flatMap(({ foreign }) => foreign.flatMap(({ object }) => object ?? []));
  const all = [...objects.map(({ object }) => object), ...others];
  const findings = [
    ...read.flatMap(({ faults }) =>
      faults.map(({ place, words }) => finding(place, { object: "", field: "", message: words, mend: "" })),
    ),
    ...read.flatMap(({ foreign }) => foreign.flatMap(misspeltKind)),
    ...objects.flatMap(ownFindings),
    ...objects.flatMap((object) => referenceFindings(object, all)),
    ...objects.flatMap((object) => experimentFindings(object, all)),
    ...objects.flatMap((object) => conditionFindings(object, all)),
    ...routeFindings(objects),
    ...repeated(objects),
  ];
  const order = new Map<string, number>();
  for (const { file } of findings) if (!order.has(file)) order.set(file, order.size);
  const rank = ({ file }: LintFinding): number => order.get(file) ?? 0;
  return findings.sort((a, b) => rank(a) - rank(b) || a.line - b.line || a.column - b.column);
}

type Words = Pick<LintFinding, "object" | "field" | "message" | "mend">;

function finding(place: Place, words: Words, severity: Severity = "error"): LintFinding {
  return { ...place, severity, ...words };
}

function misspeltKind({ apiVersion, kind, place }: ForeignObject): readonly LintFinding[] {
  const [group = ""] = apiVersion.split("/");
  const types = Object.values(RESOURCES);
  const known = types.filter((type) => type.group === (apiVersion.includes("/") ? group : ""));
  const same = known.find((type) => type.kind === kind);
  const message = `${apiVersion} ${kind} is not a kind that weir handles`;
  if (same !== undefined && OWN_GROUPS.includes(group)) {
    const mend = `write apiVersion ${group}/${same.version}`;
    return [finding(place, { object: "", field: "apiVersion", message, mend })];
  }
  const guess = didYouMean(
    kind,
    known.map((type) => type.kind),
  );
  if (guess === "" || !OWN_GROUPS.includes(group)) return [];
  return [
    finding(place, { object: "", field: "kind", message: `${message}${guess}`, mend: "correct the kind" }),
  ];
}

/** What its schema and its own rules hold against an object. */
function ownFindings(file: FileObject): readonly LintFinding[] {
  const { object, place } = file;
  const found = lint(object, CAPABILITIES).map(({ path, message, mend, isKey, isNote }) => {
    const words = { object: nameOf(object), field: formatPath(path), message, mend };
    return finding(place(path, isKey ? "key" : "value"), words, isNote ? "note" : "error");
  });
  return object.kind === "Rollout" ? [...found, ...routerFindings(file)] : found;
}

/** What is wrong with the settings of a Rollout's routers. */
function routerFindings({ object, place }: FileObject): readonly LintFinding[] {
  return routerSettingsErrors(readRollout(object).value).map((error) => {
    const message = fieldErrorText({ ...error, field: "" });
    const words = {
      object: nameOf(object),
      field: formatPath(error.path),
      message,
      mend: "correct the value",
    };
    return finding(place(error.path), words);
  });
}

/** What is wrong about the objects that a Rollout names; nothing while the Rollout itself has errors that the look would stumble over. */
function referenceFindings(
  { object, place }: FileObject,
  all: readonly KubeObject[],
): readonly LintFinding[] {
  if (object.kind !== "Rollout") return [];
  const rollout = readRollout(object).value;
  const { strategy } = rollout.spec;
  if (strategy?.canary === undefined && strategy?.blueGreen === undefined) return [];
  const world = worldOfFiles(object, all);
  const snapshot = world.snapshot();
  const { reference } = snapshot.workload;
  if (reference?.kind === "missing") {
    // Without its pod template there is nothing to hold the others against.
    const at: Path = ["spec", "workloadRef"];
    const words = { object: nameOf(object), field: formatPath(at), message: reference.words };
    const isThere = !reference.words.endsWith("not found");
    // Beside a template of the Rollout's own it is told at the template.
    const isTold = rolloutErrors(rollout, CAPABILITIES).some(({ detail }) => detail === reference.words);
    if (isTold) return [];
    if (isThere) return [finding(place(at), { ...words, mend: "correct it" })];
    const message = reference.words.replace(/ not found$/, " is not in these files");
    return [finding(place(at), { ...words, message, mend: "it must be in the cluster" }, "note")];
  }
  const own = [...rolloutErrors(rollout, CAPABILITIES), ...routerSettingsErrors(rollout)];
  const isJudged = new Set(own.map(fieldErrorText));
  const named = findReferenceProblems(snapshot, world.nowMs)
    .filter(({ error }) => !isJudged.has(fieldErrorText(error)))
    .map(({ error, missing }) => {
      const words = { object: nameOf(object), field: error.field };
      const at = place(error.path);
      const { mend = "correct either of them" } = error;
      if (missing === undefined)
        return finding(at, { ...words, message: fieldErrorText({ ...error, field: "" }), mend });
      const message = `${missing} is not in these files`;
      return finding(at, { ...words, message, mend: "it must be in the cluster" }, "note");
    });
  return [...named, ...workloadFindings({ object, place }, snapshot, isJudged)];
}

/** What the rules hold against the pod template that another object lends. */
function workloadFindings(
  { object, place }: Pick<FileObject, "object" | "place">,
  { validation, workload: { reference } }: Snapshot,
  isJudged: ReadonlySet<string>,
): readonly LintFinding[] {
  if (reference?.kind !== "found") return [];
  const at: Path = ["spec", "workloadRef"];
  const mend = `correct the ${reference.type.kind}; a Rollout with it is Degraded (InvalidSpec)`;
  return validation.errors
    .filter((message) => !isJudged.has(message))
    .map((message) => finding(place(at), { object: nameOf(object), field: formatPath(at), message, mend }));
}

/** Why an Experiment cannot be run, analyses that share a name, and templates of analyses that the files do not hold. */
function experimentFindings(
  { object, place }: FileObject,
  all: readonly KubeObject[],
): readonly LintFinding[] {
  // Without a spec there is nothing more to say than that it is missing.
  if (object.kind !== "Experiment" || object.spec === undefined) return [];
  const experiment = readExperiment(object).value;
  const found = (path: Path, message: string, mend: string, severity: Severity): LintFinding =>
    finding(place(path), { object: nameOf(object), field: formatPath(path), message, mend }, severity);
  const own = experimentProblems(experiment).map(({ path, detail }) =>
    found(path, detail, "correct it; the Experiment is not run as it stands", "error"),
  );
  const names = new Set<string>();
  const others = (experiment.spec.analyses ?? []).flatMap(({ name, templateName, clusterScope }, index) => {
    const at: Path = ["spec", "analyses", index];
    const notes: LintFinding[] = [];
    if (names.has(name))
      notes.push(found([...at, "name"], `Duplicate value: "${name}"`, "give each its own", "note"));
    names.add(name);
    const kind = clusterScope === true ? "ClusterAnalysisTemplate" : "AnalysisTemplate";
    const isNear = (other: KubeObject): boolean =>
      clusterScope === true || namespaceOf(other) === namespaceOf(object);
    if (all.some((other) => other.kind === kind && other.metadata.name === templateName && isNear(other)))
      return notes;
    const message = `${kind} "${templateName}" is not in these files`;
    return [...notes, found([...at, "templateName"], message, "it must be in the cluster", "note")];
  });
  return [...own, ...others];
}

/** Conditions of metrics that do not compile. */
function conditionFindings(
  { object, place }: FileObject,
  all: readonly KubeObject[],
): readonly LintFinding[] {
  return conditionFaults(object, all).map(({ path, message, isDryRun }) => {
    const mend = isDryRun
      ? "correct the condition; its metric is dry-run, and counts for nothing"
      : "correct the condition; a run of it would end in phase Error";
    const words = { object: nameOf(object), field: formatPath(path), message, mend };
    return finding(place(path), words, isDryRun ? "note" : "error");
  });
}

/** What the proxies would not carry out of HTTPRoutes and TrafficPolicies. What may come by itself is a note. */
function routeFindings(objects: readonly FileObject[]): readonly LintFinding[] {
  const placed = objects.map(({ object }) => withNamespace(object));
  const byName = new Map(objects.map((item) => [nameOf(item.object), item]));
  return routeProblems(placed).flatMap(({ about, field, path, message, mayPass = false }) => {
    const item = byName.get(about);
    if (item === undefined) return [];
    const mend = mayPass ? "what it needs must be in the cluster" : "correct it, or leave it out";
    const words = { object: about, field, message, mend };
    return [finding(item.place(path), words, mayPass ? "note" : "error")];
  });
}

function withNamespace(object: KubeObject): KubeObject {
  return { ...object, metadata: { ...object.metadata, namespace: namespaceOf(object) } };
}

/** Objects that stand in the files twice, as versions of one may: applied together, only the last of them counts. */
function repeated(objects: readonly FileObject[]): readonly LintFinding[] {
  const seen = new Map<string, Place>();
  return objects.flatMap(({ object, isUnnamed, place }) => {
    if (isUnnamed) return [];
    const key = `${object.apiVersion} ${nameOf(object)}`;
    const first = seen.get(key);
    const at: Path = ["metadata", "name"];
    if (first === undefined) {
      seen.set(key, place(at));
      return [];
    }
    const message = `the same object stands in ${first.file}:${first.line}`;
    const mend = "applied together, the last one counts";
    return [finding(place(at), { object: nameOf(object), field: "metadata.name", message, mend }, "note")];
  });
}

function nameOf(object: KubeObject): string {
  const isNamespaced =
    Object.values(RESOURCES).find(({ kind }) => kind === object.kind)?.isNamespaced ?? true;
  return `${object.kind} ${isNamespaced ? `${namespaceOf(object)}/` : ""}${object.metadata.name}`;
}
