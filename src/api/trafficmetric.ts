// Settings of the metric `provider.plugin["weir.dev/traffic"]`: strict, because a misspelt field would silently measure something
// else. Arguments are replaced before this is read, so numbers may come as text.
import { z } from "zod";
import { parseDuration } from "../lib/duration.ts";
import { isObject } from "../lib/json.ts";
import { type Finding, unknownField } from "./decode.ts";

const number = z.union([
  z.number(),
  z
    .string()
    .regex(/^\d+(?:\.\d+)?$/, "is not a number")
    .transform(Number),
]);

const settings = z.strictObject({
  /** requests: their number; successRate, errorRate: 0 to 1; latency: milliseconds. */
  metric: z.enum(["requests", "successRate", "errorRate", "latency"]),
  /** Of the latency, above 0 and at most 1. */
  quantile: number.pipe(z.number().gt(0).lte(1)).optional(),
  version: z.enum(["canary", "stable"]).default("canary"),
  /** The pods of this hash, whichever version they are: a template of an Experiment. */
  podHash: z.string().min(1).optional(),
  /** The requests to this Service, which no Rollout splits: a template of an Experiment that stands alone. */
  service: z.string().min(1).optional(),
  /** One route of the proxies; all when absent. */
  route: z.string().min(1).optional(),
  /** Only requests that this managed route of the Rollout has led or copied; with "route", both hold. */
  managedRoute: z.string().min(1).optional(),
  /** Since when: the current step, the start of the run, or a duration back from now. */
  since: z
    .string()
    .refine((text) => text === "step" || text === "run" || (parseDuration(text) ?? 0) > 0, {
      message: 'is not "step", "run" or a duration such as "30s"',
    })
    .default("run"),
  /** A verdict needs as many requests. */
  minRequests: number.pipe(z.number().int().gte(0)).default(20),
});

/** The settings with their defaults. */
export type TrafficMetric = Readonly<z.output<typeof settings>>;

/** Reads the settings; paths of findings begin at the settings' root. */
export function readTrafficMetric(
  input: unknown,
):
  | { readonly kind: "valid"; readonly settings: TrafficMetric }
  | { readonly kind: "invalid"; readonly findings: readonly Finding[] } {
  const parsed = settings.safeParse(input);
  if (!parsed.success) {
    const findings = parsed.error.issues.flatMap((issue): readonly Finding[] => {
      const path = issue.path.filter((key) => typeof key !== "symbol");
      if (issue.code !== "unrecognized_keys" || !isObject(input)) return [{ path, message: issue.message }];
      const names = Object.keys(settings.shape);
      return issue.keys.map((key) => unknownField([...path, key], input, names, "weir"));
    });
    return { kind: "invalid", findings };
  }
  const finding = contradiction(parsed.data);
  return finding === undefined
    ? { kind: "valid", settings: parsed.data }
    : { kind: "invalid", findings: [finding] };
}

function contradiction({ metric, quantile, podHash, service }: TrafficMetric): Finding | undefined {
  if (quantile !== undefined && metric !== "latency")
    return { path: ["quantile"], message: "applies to the metric latency only" };
  return podHash !== undefined && service !== undefined
    ? { path: ["service"], message: "excludes podHash" }
    : undefined;
}
