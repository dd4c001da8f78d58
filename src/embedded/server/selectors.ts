// Label and field selectors of list and watch: parsed once per request, then asked per object. Pure.
import type { KubeObject } from "../../api/api.ts";
import { assertNever } from "../../lib/assert.ts";
import { badRequest } from "./errors.ts";
import { fieldAt } from "./fields.ts";
import type { Kind } from "./kinds.ts";

type LabelRequirement =
  | { readonly kind: "exists" | "absent"; readonly key: string }
  | { readonly kind: "in" | "notIn"; readonly key: string; readonly values: ReadonlySet<string> };

interface FieldRequirement {
  readonly path: string;
  readonly value: string;
  readonly isEqual: boolean;
}

/** Tells which objects a list or watch is about. */
export interface Selector {
  /** True when it selects everything: lists then need not parse what they send. */
  readonly isEverything: boolean;
  /** The one name that is asked for, when there is one. */
  readonly name: string | undefined;
  matches(object: KubeObject): boolean;
}

const LABEL_KEY = /^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/;
const LABEL_VALUE = /^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/;

/** Parses both selectors of a request; throws 400 for what is malformed or not selectable. */
export function parseSelector(kind: Kind, labels: string | undefined, fields: string | undefined): Selector {
  const labelRequirements = parseLabels(labels ?? "");
  const fieldRequirements = parseFields(kind, fields ?? "");
  const named = fieldRequirements.find(({ path, isEqual }) => path === "metadata.name" && isEqual);
  return {
    isEverything: labelRequirements.length === 0 && fieldRequirements.length === 0,
    name: named?.value,
    matches: (object) =>
      fieldRequirements.every((requirement) => fieldHolds(requirement, object)) &&
      labelRequirements.every((requirement) => labelHolds(requirement, object.metadata.labels ?? {})),
  };
}

/** Tells whether anything that a selector can ask for differs between two states of an object. */
export function selectablyDiffers(kind: Kind, before: KubeObject, after: KubeObject): boolean {
  const a = before.metadata.labels ?? {};
  const b = after.metadata.labels ?? {};
  const keys = Object.keys(a);
  if (keys.length !== Object.keys(b).length || keys.some((key) => a[key] !== b[key])) return true;
  return kind.selectableFields.some((path) => textAt(before, path) !== textAt(after, path));
}

/** `a=b,c in (d,e),!f` as requirements. Source of the grammar: Kubernetes "Labels and Selectors". */
export function parseLabels(text: string): readonly LabelRequirement[] {
  return splitOutsideParentheses(text).map(parseLabel);
}

function splitOutsideParentheses(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (let index = 0; index < text.length; index++) {
    if (text[index] === "(") depth += 1;
    if (text[index] === ")") depth -= 1;
    if (text[index] !== "," || depth !== 0) continue;
    parts.push(text.slice(start, index));
    start = index + 1;
  }
  parts.push(text.slice(start));
  return parts.length === 1 && parts[0]?.trim() === "" ? [] : parts.map((part) => part.trim());
}

function parseLabel(text: string): LabelRequirement {
  const set = /^(\S+)\s+(in|notin)\s*\(([^()]*)\)$/.exec(text);
  if (set !== null) {
    const values = (set[3] ?? "").split(",").map((value) => value.trim());
    return labelIn(text, set[2] === "in" ? "in" : "notIn", set[1] ?? "", values);
  }
  const equal = /^([^\s=!]+)\s*(==|=|!=)\s*(\S*)$/.exec(text);
  if (equal !== null)
    return labelIn(text, equal[2] === "!=" ? "notIn" : "in", equal[1] ?? "", [equal[3] ?? ""]);
  const absent = text.startsWith("!");
  const key = absent ? text.slice(1).trim() : text;
  if (!LABEL_KEY.test(key)) throw malformed(text);
  return { kind: absent ? "absent" : "exists", key };
}

function labelIn(
  text: string,
  kind: "in" | "notIn",
  key: string,
  values: readonly string[],
): LabelRequirement {
  if (!LABEL_KEY.test(key)) throw malformed(text);
  if (!values.every((value) => value.length <= 63 && LABEL_VALUE.test(value))) throw malformed(text);
  return { kind, key, values: new Set(values) };
}

function malformed(text: string): Error {
  return badRequest(`unable to parse requirement ${JSON.stringify(text)} of the label selector`);
}

function labelHolds(requirement: LabelRequirement, labels: Readonly<Record<string, string>>): boolean {
  const value = Object.hasOwn(labels, requirement.key) ? labels[requirement.key] : undefined;
  switch (requirement.kind) {
    case "exists":
      return value !== undefined;
    case "absent":
      return value === undefined;
    case "in":
      return value !== undefined && requirement.values.has(value);
    case "notIn":
      return value === undefined || !requirement.values.has(value);
    default:
      return assertNever(requirement);
  }
}

function parseFields(kind: Kind, text: string): readonly FieldRequirement[] {
  if (text.trim() === "") return [];
  return text.split(",").map((part) => {
    const match = /^\s*([^\s=!]+?)\s*(==|=|!=)(.*)$/.exec(part);
    if (match === null)
      throw badRequest(`unable to parse requirement ${JSON.stringify(part)} of the field selector`);
    const [, path = "", operator = "=", value = ""] = match;
    const isKnown = ["metadata.name", "metadata.namespace", ...kind.selectableFields].includes(path);
    if (!isKnown) throw badRequest(`field label not supported for ${kind.type.plural}: ${path}`);
    return { path, value: value.trim(), isEqual: operator !== "!=" };
  });
}

function fieldHolds(requirement: FieldRequirement, object: KubeObject): boolean {
  return (textAt(object, requirement.path) === requirement.value) === requirement.isEqual;
}

function textAt(object: KubeObject, path: string): string {
  // An event's `source` selects by its component.
  const value = fieldAt(object, path === "source" ? "source.component" : path);
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  return path === "spec.unschedulable" || path === "spec.hostNetwork" ? "false" : "";
}
