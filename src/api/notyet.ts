// Fields of Argo's schema that weir does not carry out yet. They are InvalidSpec, by name, never ignored. To carry one out,
// delete its line.
import type { Metric } from "./analysisschema.ts";
import type { Path } from "./decode.ts";
import { type FieldError, forbidden } from "./fielderror.ts";
import { WEIR_ROUTER, WEIR_TRAFFIC_METRIC } from "./labels.ts";
import type { Rollout } from "./rolloutschema.ts";
import { usedRouters } from "./routers.ts";
import type { MetricError } from "./validatemetrics.ts";

/** Of spec.strategy.canary.trafficRouting. */
const ROUTING_FIELDS = ["istio", "smi", "ambassador", "appMesh", "traefik", "apisix"] as const;

/** Of a metric's provider; plugins but weir's own as well. */
const PROVIDERS = [
  "prometheus",
  "kayenta",
  "web",
  "datadog",
  "wavefront",
  "newRelic",
  "job",
  "cloudWatch",
  "graphite",
  "influxdb",
  "skywalking",
] as const;

/** The fields that `rollout` uses and weir does not carry out yet. */
export function notYetErrors(rollout: Rollout): readonly FieldError[] {
  const { spec } = rollout;
  const { canary } = spec.strategy ?? {};
  const at: Path = ["spec", "strategy", "canary"];
  const routing = canary?.trafficRouting;
  const plugins = Object.keys(routing?.plugins ?? {}).filter((name) => name !== WEIR_ROUTER);
  const paths: Path[] = [
    ...set(routing ?? {}, ROUTING_FIELDS).map((field) => [...at, "trafficRouting", field]),
    ...plugins.map((name) => [...at, "trafficRouting", "plugins", name]),
  ];
  const errors = paths.map((path) => forbidden(path, `weir does not carry out ${String(path.at(-1))} yet`));
  if (routing !== undefined && usedRouters(routing).length === 0)
    errors.push(
      forbidden([...at, "trafficRouting"], `names no router; weir's own is plugins["${WEIR_ROUTER}"]: {}`),
    );
  return errors;
}

/** The providers that `metrics` use and weir does not carry out yet. */
export function notYetMetricErrors(metrics: readonly Metric[]): readonly MetricError[] {
  return metrics.flatMap(({ provider }, index) => {
    const plugins = Object.keys(provider.plugin ?? {}).filter((name) => name !== WEIR_TRAFFIC_METRIC);
    const at = ["spec", "metrics", index, "provider"];
    const paths: Path[] = [
      ...set(provider, PROVIDERS).map((name) => [...at, name]),
      ...plugins.map((name) => [...at, "plugin", name]),
    ];
    return paths.map((path) => ({
      path,
      message: `metrics[${index}]: weir does not carry out provider ${String(path.at(-1))} yet`,
    }));
  });
}

/** The fields that are there and not false. */
function set<Key extends string>(
  object: { readonly [K in Key]?: unknown },
  fields: readonly Key[],
): readonly Key[] {
  return fields.filter((field) => object[field] !== undefined && object[field] !== false);
}
