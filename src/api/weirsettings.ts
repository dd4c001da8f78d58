// Settings of weir's own router, `trafficRouting.plugins["weir.dev/proxy"]`: strict, a field that is not known is an error.
import { type Finding, inspect } from "./decode.ts";
import { WEIR_ROUTER } from "./labels.ts";
import type { Rollout } from "./rolloutschema.ts";
import { open, strings } from "./shapes.ts";

/** Settings of the router. */
export interface ProxyRouting {
  /** Gateways of the Rollout's namespace to which the split is confined; absent: wherever the Services are routed. */
  readonly gateways?: readonly string[];
}

/** Settings that were read, or what is wrong with them (paths from the settings' root). */
export type ProxyRoutingRead =
  | { readonly kind: "valid"; readonly settings: ProxyRouting }
  | { readonly kind: "invalid"; readonly findings: readonly Finding[] };

const schema = open({ gateways: strings.optional() });

/** Whether the Rollout's traffic is weir's to route. */
export function usesWeirRouter(rollout: Rollout): boolean {
  return settingsOf(rollout) !== undefined;
}

/** The router's settings of a Rollout; undefined when it does not use weir's router, or when they are not valid. */
export function proxyRoutingOf(rollout: Rollout): ProxyRouting | undefined {
  const settings = settingsOf(rollout);
  if (settings === undefined) return undefined;
  const read = readProxyRouting(settings);
  return read.kind === "valid" ? read.settings : undefined;
}

/** Reads `{}` or `{gateways: [name, …]}`. */
export function readProxyRouting(value: unknown): ProxyRoutingRead {
  const { dropped, missing, unknown } = inspect(schema, value);
  const findings = [...dropped, ...missing, ...unknown];
  if (findings.length > 0) return { kind: "invalid", findings };
  const { gateways } = schema.parse(value);
  if (gateways === undefined) return { kind: "valid", settings: {} };
  if (gateways.length > 0) return { kind: "valid", settings: { gateways } };
  const message = "is empty, expected at least one Gateway, or no list at all";
  return { kind: "invalid", findings: [{ path: ["gateways"], message }] };
}

function settingsOf(rollout: Rollout): unknown {
  return rollout.spec.strategy?.canary?.trafficRouting?.plugins?.[WEIR_ROUTER];
}
