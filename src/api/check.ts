// Holds an object against its schema strictly: what a tolerant read drops, fills in or ignores, as things to mend.
import { isObject } from "../lib/json.ts";
import { type Finding, formatPath, inspect, type Path } from "./decode.ts";
import { goFindings } from "./gocheck.ts";
import type { KubeObject } from "./meta.ts";
import { type ReadableKind, SCHEMAS } from "./read.ts";

/** One thing to mend in a manifest. */
export interface Issue {
  readonly path: Path;
  /** What is wrong with the value at `path`. */
  readonly message: string;
  /** What to do about it. */
  readonly mend: string;
  /** It is about the key at the end of the path, not about the value. */
  readonly isKey?: true;
  /** The name that was probably meant by an unknown key. */
  readonly meant?: string;
  /** It may well be right, or be carried out as far as it goes: a field of a kind that others define, a weight that there is no room for. */
  readonly isNote?: true;
}

/** Kinds whose schemas are complete by field. */
const COMPLETE: ReadonlySet<string> = new Set<ReadableKind>([
  "Rollout",
  "AnalysisRun",
  "AnalysisTemplate",
  "ClusterAnalysisTemplate",
  "Experiment",
  "TrafficPolicy",
  "ReplicaSet",
]);

/** Kinds of Kubernetes and the Gateway API that people write, with the fields that were known when the schemas were written: an unknown
 *  name that is near to one of them is misspelt, another may be newer than weir. */
const NAMED: ReadonlySet<string> = new Set<ReadableKind>(["Service", "Gateway", "HTTPRoute"]);

export function isReadableKind(kind: string): kind is ReadableKind {
  return Object.hasOwn(SCHEMAS, kind);
}

/** Fields that the schema of the object's kind does not name: they survive every write and have no effect. */
export function unknownFields(kind: ReadableKind, object: KubeObject): readonly Finding[] {
  return COMPLETE.has(kind) ? findings(kind, object).unknown : [];
}

/** What does not decode, and what is missing, with the schema's own words; for servers that refuse such objects. */
export function structuralFindings(
  kind: ReadableKind,
  object: unknown,
): { readonly dropped: readonly Finding[]; readonly missing: readonly Finding[] } {
  const { dropped, missing } = inspect(SCHEMAS[kind], object);
  return { dropped, missing };
}

/** All that the schema has to say about `object`. */
export function schemaIssues(kind: ReadableKind, object: KubeObject): readonly Issue[] {
  const { mistyped, missing, unknown } = findings(kind, object);
  const issues = [
    ...mistyped.map((finding) => ({ ...finding, mend: "write a value of that type; this one is not read" })),
    ...missing.map((finding) => ({ ...finding, mend: "add the field" })),
  ];
  return [...issues, ...unknownIssues(kind, unknown)];
}

function unknownIssues(kind: ReadableKind, unknown: readonly Finding[]): readonly Issue[] {
  const isComplete = COMPLETE.has(kind);
  if (!isComplete && !NAMED.has(kind)) return [];
  const written = isComplete ? unknown : unknown.filter(({ path }) => path[0] !== "status");
  return written.map((finding) => ({
    ...finding,
    mend: "correct the name, or leave it out",
    ...(isComplete || finding.meant !== undefined ? {} : { isNote: true }),
  }));
}

/** Whether what should stand at `path` stands beside it under a misspelt name. */
export function isMisspelt(path: Path, unknown: readonly Pick<Finding, "path" | "meant">[]): boolean {
  const text = formatPath(path);
  return unknown.some(
    (one) => one.meant !== undefined && formatPath([...one.path.slice(0, -1), one.meant]) === text,
  );
}

interface Findings {
  readonly mistyped: readonly Finding[];
  readonly missing: readonly Finding[];
  readonly unknown: readonly Finding[];
}

/** Kinds that are written without a spec. */
const WITHOUT_SPEC: ReadonlySet<string> = new Set<ReadableKind>(["Namespace", "Node"]);

/** The pod template's own schema names only what weir reads, so inside it the Go structs have the word. */
function findings(kind: ReadableKind, object: KubeObject): Findings {
  const { dropped, missing, unknown } = inspect(SCHEMAS[kind], object);
  // Nobody writes status by hand, and it is the server's to be absent.
  const isOwed = ({ path }: Finding): boolean =>
    path[0] !== "status" && !(path.length === 1 && path[0] === "spec" && WITHOUT_SPEC.has(kind));
  const needed = missing.filter((finding) => isOwed(finding) && !isMisspelt(finding.path, unknown));
  const templates = podTemplates(kind, object);
  if (templates.length === 0) return { mistyped: dropped, missing: needed, unknown };
  const found = templates.map(([path, template]) => goFindings("PodTemplateSpec", template, path));
  const isOutside = ({ path }: Finding): boolean =>
    !templates.some(([within]) => within.every((key, index) => path[index] === key));
  return {
    mistyped: [...dropped.filter(isOutside), ...found.flatMap(({ mistyped }) => mistyped)],
    missing: needed,
    unknown: [...unknown.filter(isOutside), ...found.flatMap((each) => each.unknown)],
  };
}

/** The pod templates of an object, with their places. */
function podTemplates(kind: ReadableKind, object: KubeObject): readonly (readonly [Path, unknown])[] {
  const spec = isObject(object.spec) ? object.spec : {};
  if (kind === "Rollout" || kind === "ReplicaSet") return [[["spec", "template"], spec.template]];
  if (kind !== "Experiment" || !Array.isArray(spec.templates)) return [];
  return spec.templates.map((item: unknown, index) => [
    ["spec", "templates", index, "template"],
    isObject(item) ? item.template : undefined,
  ]);
}
