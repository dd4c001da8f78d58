// From templates to the spec of an AnalysisRun: nested templates flattened, arguments merged, dry-run and retention rules joined.
// Argo: utils/analysis/helpers.go.
import type {
  AnalysisRunSpec,
  AnalysisTemplateRef,
  AnalysisTemplateSpec,
  Argument,
  DryRun,
  MeasurementRetention,
  Metric,
} from "../api/api.ts";
import { mergeArgs, type Rendered } from "./arguments.ts";

/** A template as far as it is read here: an AnalysisTemplate or a ClusterAnalysisTemplate. */
export interface NamedTemplate {
  readonly metadata: { readonly name: string };
  readonly spec: AnalysisTemplateSpec;
}

export interface RunSpecRequest {
  readonly refs: readonly AnalysisTemplateRef[];
  /** Templates that may be named, of the namespace and of the cluster. */
  readonly templates: readonly NamedTemplate[];
  readonly clusterTemplates: readonly NamedTemplate[];
  /** Values given by the Rollout, resolved: what is left as valueFrom refers to secrets. */
  readonly args?: readonly Argument[];
  readonly dryRun?: readonly DryRun[];
  readonly measurementRetention?: readonly MeasurementRetention[];
}

export type RunSpecResult =
  | { readonly kind: "ok"; readonly spec: AnalysisRunSpec }
  /** `missing`: a template that is not there (yet), to be named in InvalidSpec. */
  | {
      readonly kind: "error";
      readonly message: string;
      readonly missing?: {
        readonly kind: "AnalysisTemplate" | "ClusterAnalysisTemplate";
        readonly name: string;
      };
    };

/** The spec of the run that these templates and arguments ask for. Metrics keep their tags: they are resolved when measured. */
export function runSpecFromTemplates(request: RunSpecRequest): RunSpecResult {
  const found = collectTemplates(request);
  if (!("specs" in found)) return found;
  const { specs } = found;
  const metrics = joinMetrics(specs);
  if (metrics.kind === "error") return metrics;
  const declared = joinArgs(specs);
  if (declared.kind === "error") return declared;
  const args = mergeArgs(request.args ?? [], declared.value);
  if (args.kind === "error") return args;
  const dryRun = [...(request.dryRun ?? []), ...specs.flatMap((spec) => spec.dryRun ?? [])];
  const retention = [
    ...(request.measurementRetention ?? []),
    ...specs.flatMap((spec) => spec.measurementRetention ?? []),
  ];
  const repeated = repeatedRule("dryRun", dryRun) ?? repeatedRule("measurementRetention", retention);
  if (repeated !== undefined) return { kind: "error", message: repeated };
  return {
    kind: "ok",
    spec: {
      metrics: metrics.value,
      ...(args.value.length === 0 ? {} : { args: args.value }),
      ...(dryRun.length === 0 ? {} : { dryRun }),
      ...(retention.length === 0 ? {} : { measurementRetention: retention }),
    },
  };
}

interface Collected {
  readonly specs: readonly AnalysisTemplateSpec[];
}

/** Depth first, each template once; namespaced ones before those of the cluster, as Argo joins them. */
function collectTemplates(request: RunSpecRequest): Collected | (RunSpecResult & { readonly kind: "error" }) {
  const seen = new Map<string, AnalysisTemplateSpec>();
  const missing: { kind: "AnalysisTemplate" | "ClusterAnalysisTemplate"; name: string }[] = [];
  const visit = (ref: AnalysisTemplateRef): void => {
    const isCluster = ref.clusterScope === true;
    const name = ref.templateName ?? "";
    const key = `${isCluster ? "cluster" : "namespace"}/${name}`;
    if (seen.has(key)) return;
    const among = isCluster ? request.clusterTemplates : request.templates;
    const template = among.find(({ metadata }) => metadata.name === name);
    if (template === undefined)
      return void missing.push({ kind: isCluster ? "ClusterAnalysisTemplate" : "AnalysisTemplate", name });
    seen.set(key, template.spec);
    template.spec.templates?.forEach(visit);
  };
  request.refs.forEach(visit);
  const [first] = missing;
  if (first !== undefined)
    return { kind: "error", message: `${first.kind} '${first.name}' not found`, missing: first };
  const ordered = [...seen].sort(
    ([a], [b]) => Number(a.startsWith("cluster/")) - Number(b.startsWith("cluster/")),
  );
  return { specs: ordered.map(([, spec]) => spec) };
}

function joinMetrics(specs: readonly AnalysisTemplateSpec[]): Rendered<readonly Metric[]> {
  const metrics = specs.flatMap((spec) => spec.metrics ?? []);
  const twice = metrics.find(
    (metric, index) => metrics.findIndex(({ name }) => name === metric.name) < index,
  );
  return twice === undefined
    ? { kind: "ok", value: metrics }
    : { kind: "error", message: `two metrics have the same name '${twice.name}'` };
}

/** Arguments of one name must agree where both have a value; one with a value wins over one without. */
function joinArgs(specs: readonly AnalysisTemplateSpec[]): Rendered<readonly Argument[]> {
  const joined = new Map<string, Argument>();
  for (const argument of specs.flatMap((spec) => spec.args ?? [])) {
    const earlier = joined.get(argument.name);
    if (earlier?.value !== undefined && argument.value !== undefined && earlier.value !== argument.value)
      return {
        kind: "error",
        message: `Argument \`${argument.name}\` specified multiple times with different values: '${earlier.value}', '${argument.value}'`,
      };
    if (earlier?.value === undefined) joined.set(argument.name, argument);
  }
  return { kind: "ok", value: [...joined.values()] };
}

function repeatedRule(field: string, rules: readonly { readonly metricName: string }[]): string | undefined {
  const index = rules.findIndex(
    (rule, at) => rules.findIndex(({ metricName }) => metricName === rule.metricName) < at,
  );
  if (index < 0) return undefined;
  return `${field}[${index}]: duplicate metric name '${rules[index]?.metricName ?? ""}'`;
}
