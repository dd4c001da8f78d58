// Arguments of templates and runs: merging, and replacing `{{args.name}}` in metrics. Secrets are only known while a measurement
// is taken; what is assessed in between sees a placeholder, and messages show *****.
import type { AnalysisRun, Argument, Metric } from "../api/api.ts";
import { isObject } from "../lib/json.ts";

export type Rendered<T> =
  | { readonly kind: "ok"; readonly value: T }
  | { readonly kind: "error"; readonly message: string };

/** Looks up a key of a Secret in the run's namespace; undefined when there is none. */
export type SecretReader = (secretName: string, key: string) => string | undefined;

/** A metric ready for its provider, and what must not be shown. */
export interface ResolvedMetric {
  readonly metric: Metric;
  readonly secrets: readonly string[];
}

const TAG = /\{\{(.*?)\}\}/g;
const SECRET_PLACEHOLDER = "value-of-a-secret";
const REDACTED = "*****";

/** Arguments of the templates with the caller's values; arguments that no template declares are dropped. Argo: MergeArgs. */
export function mergeArgs(
  given: readonly Argument[],
  declared: readonly Argument[],
): Rendered<readonly Argument[]> {
  const merged = declared.map((argument) => {
    const own = given.findLast(({ name }) => name === argument.name);
    if (own?.value !== undefined) return { name: argument.name, value: own.value };
    return own?.valueFrom === undefined ? argument : { name: argument.name, valueFrom: own.valueFrom };
  });
  const unresolved = merged.find(({ value, valueFrom }) => value === undefined && valueFrom === undefined);
  return unresolved === undefined
    ? { kind: "ok", value: merged }
    : { kind: "error", message: `args.${unresolved.name} was not resolved` };
}

/** The metrics of a run as far as they are known without secrets: for limits, counts and intervals. */
export function metricsWithoutSecrets(run: Pick<AnalysisRun, "spec">): Rendered<readonly Metric[]> {
  const values = new Map<string, string>();
  for (const { name, value, valueFrom } of run.spec.args ?? []) {
    if (value !== undefined) values.set(name, value);
    else if (valueFrom !== undefined) values.set(name, SECRET_PLACEHOLDER);
  }
  return renderTags(run.spec.metrics, values);
}

/** One metric with every argument in place, secrets too: what the provider is given. */
export function resolveMetric(
  metric: Metric,
  args: readonly Argument[],
  readSecret: SecretReader,
): Rendered<ResolvedMetric> {
  const values = new Map<string, string>();
  const secrets: string[] = [];
  for (const { name, value, valueFrom } of args) {
    const reference = valueFrom?.secretKeyRef;
    if (value !== undefined && valueFrom !== undefined)
      return { kind: "error", message: `arg ${name} has both Value and ValueFrom fields` };
    if (value !== undefined) values.set(name, value);
    if (reference === undefined) continue;
    const secret = readSecret(reference.name, reference.key);
    if (secret === undefined)
      return {
        kind: "error",
        message: `key '${reference.key}' does not exist in secret '${reference.name}'`,
      };
    values.set(name, secret);
    if (secret !== "") secrets.push(secret);
  }
  const rendered = renderTags(metric, values);
  return rendered.kind === "error" ? rendered : { kind: "ok", value: { metric: rendered.value, secrets } };
}

/** Replaces each secret in a message. Longer ones first, so that no rest of one shows. */
export function redact(message: string, secrets: readonly string[]): string {
  const ordered = secrets.filter((secret) => secret !== "").sort((a, b) => b.length - a.length);
  return ordered.reduce((text, secret) => text.replaceAll(secret, REDACTED), message);
}

/** Replaces `{{args.name}}` in every string of a JSON value; a tag that is left is an error. Replaced text is not read again. */
export function renderTags<T>(value: T, values: ReadonlyMap<string, string>): Rendered<T> {
  const problem: { tag?: string } = {};
  const render = (text: string): string =>
    text.replaceAll(TAG, (whole: string, tag: string) => {
      const name = tag.trim();
      const known = name.startsWith("args.") ? values.get(name.slice("args.".length)) : undefined;
      if (known === undefined) problem.tag ??= tag;
      return known ?? whole;
    });
  const walk = (node: unknown): unknown => {
    if (typeof node === "string") return render(node);
    if (Array.isArray(node)) return node.map(walk);
    if (!isObject(node)) return node;
    return Object.fromEntries(Object.entries(node).map(([key, inner]) => [render(key), walk(inner)]));
  };
  const rendered = walk(value);
  if (problem.tag !== undefined) return { kind: "error", message: `failed to resolve {{${problem.tag}}}` };
  // Only strings changed, and they stay strings: the shape is T's.
  return { kind: "ok", value: rendered as T };
}
