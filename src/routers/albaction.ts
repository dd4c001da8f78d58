// The JSON that the AWS load balancer controller reads from annotations: forward actions with weighted target groups, and conditions on
// headers. Written as Argo writes it, byte for byte, so that a takeover changes nothing.
// Source: Argo: utils/ingress/ingress.go ALBAction, ALBCondition, v1.9.
import type { HeaderMatch, HeaderRoute, ServiceWeight } from "../api/api.ts";
import { isObject, parseJson } from "../lib/json.ts";

export interface ActionSettings {
  readonly servicePort: number;
  readonly stickinessConfig?: { readonly enabled: boolean; readonly durationSeconds: number };
}

/** The action that splits the traffic between these Services. */
export function actionText(settings: ActionSettings, weights: readonly ServiceWeight[]): string {
  const { servicePort, stickinessConfig } = settings;
  const TargetGroups = weights.map(({ service, weight }) => ({
    ServiceName: service,
    ServicePort: String(servicePort),
    Weight: weight,
  }));
  const sticky =
    stickinessConfig?.enabled === true
      ? { TargetGroupStickinessConfig: { Enabled: true, DurationSeconds: stickinessConfig.durationSeconds } }
      : {};
  return JSON.stringify({ Type: "forward", ForwardConfig: { TargetGroups, ...sticky } });
}

/** The weights that an action sets; undefined for one that is none of ours, or that names no Service somewhere. */
export function readAction(settings: ActionSettings, text: string): readonly ServiceWeight[] | undefined {
  const action = parseJson(text);
  if (!isObject(action) || action.Type !== "forward" || !isObject(action.ForwardConfig)) return undefined;
  const { TargetGroups } = action.ForwardConfig;
  if (!Array.isArray(TargetGroups)) return undefined;
  const weights: ServiceWeight[] = [];
  for (const group of TargetGroups) {
    const { ServiceName, ServicePort, Weight } = isObject(group) ? group : {};
    if (typeof ServiceName !== "string" || ServiceName === "" || typeof Weight !== "number") return undefined;
    if (ServicePort !== String(settings.servicePort)) return undefined;
    weights.push({ service: ServiceName, weight: Weight });
  }
  return weights;
}

/** The conditions of a header route: one a header, with all its values. */
export function conditionsText({ matches }: HeaderRoute): string {
  const conditions = [...Map.groupBy(matches, ({ name }) => name)].map(([httpHeaderName, ofHeader]) => ({
    field: "http-header",
    httpHeaderConfig: { httpHeaderName, values: ofHeader.map(({ value }) => value.value) },
  }));
  return JSON.stringify(conditions);
}

/** The matches that conditions ask for; undefined for anything else than headers. */
export function readConditions(text: string): readonly HeaderMatch[] | undefined {
  const conditions = parseJson(text);
  if (!Array.isArray(conditions)) return undefined;
  const matches: HeaderMatch[] = [];
  for (const condition of conditions) {
    const { field, httpHeaderConfig: config } = isObject(condition) ? condition : {};
    const { httpHeaderName: name, values } = isObject(config) ? config : {};
    if (field !== "http-header" || typeof name !== "string" || !Array.isArray(values)) return undefined;
    matches.push(
      ...values.map((value) => ({ name, value: { kind: "exact", value: String(value) } as const })),
    );
  }
  return matches;
}
