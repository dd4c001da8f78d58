// The shape of a pod-template rule, and what the rules' files share: reading of parts that the schema leaves open, and the builders of
// errors for them. A value of another type counts as absent here: lint reports it, and servers refuse it.
import { isObject } from "../lib/json.ts";
import { quantityNanos } from "../lib/quantity.ts";
import type { Path } from "./decode.ts";
import { type FieldError, invalid, quoted, unsupported } from "./fielderror.ts";

/** Part of a manifest, as it came. */
export type Json = Readonly<Record<string, unknown>>;

/** One rule: its name and sentence stand in docs/reference/validation.md. */
export interface PodRule<Subject> {
  readonly name: string;
  /** What must hold. */
  readonly says: string;
  readonly check: (subject: Subject, path: Path) => readonly FieldError[];
}

/** Everything that `rules` hold against `subject`, rule by rule. */
export function applyRules<Subject>(
  rules: readonly PodRule<Subject>[],
  subject: Subject,
  path: Path,
): readonly FieldError[] {
  return rules.flatMap((rule) => rule.check(subject, path));
}

/** The text in a field; empty when there is none, as Go reads it. */
export function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** The number in a field; undefined when there is none. */
export function numberOf(value: unknown): number | undefined {
  return typeof value === "number" ? value : undefined;
}

/** The quantity in a field, in billionths; undefined for what is none. */
export function quantityOf(value: unknown): bigint | undefined {
  return typeof value === "string" || typeof value === "number" ? quantityNanos(String(value)) : undefined;
}

/** The object in a field; undefined when there is none. */
export function objectOf(value: unknown): Json | undefined {
  return isObject(value) ? value : undefined;
}

/** The objects of a list with their places; other items are left out. */
export function itemsOf(value: unknown, path: Path): readonly (readonly [item: Json, path: Path])[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((item: unknown, index): [Json, Path][] =>
    isObject(item) ? [[item, [...path, index]]] : [],
  );
}

/** An error for every complaint about the text at `path`. */
export function textErrors(path: Path, text: string, faults: readonly string[]): readonly FieldError[] {
  return faults.map((words) => invalid(path, quoted(text), words));
}

/** An error unless the text, where there is one, is among `allowed`. */
export function oneOf(path: Path, value: unknown, allowed: readonly string[]): readonly FieldError[] {
  const text = textOf(value);
  return text === "" || allowed.includes(text) ? [] : [unsupported(path, text, allowed)];
}

/** An error for a negative number. */
export function notNegative(path: Path, value: unknown): readonly FieldError[] {
  const number = numberOf(value) ?? 0;
  return number >= 0 ? [] : [invalid(path, String(number), "must be greater than or equal to 0")];
}
