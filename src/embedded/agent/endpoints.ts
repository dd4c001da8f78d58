// The annotations of pods that stand for backends running elsewhere: `weir.dev/endpoints: "10.0.0.5:8080,10.0.0.6:8080"` in the template, and
// which of them answer, written by the agent. Pure.
import { isIPv4 } from "node:net";
import { ENDPOINTS_ANNOTATION, HEALTHY_ENDPOINTS_ANNOTATION } from "../../api/api.ts";
import type { Pod } from "./podspec.ts";

/** Endpoints that one pod may stand for. */
export const MAX_ENDPOINTS = 256;

export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

export type Endpoints =
  | { readonly kind: "ok"; readonly endpoints: readonly Endpoint[] }
  | { readonly kind: "invalid"; readonly message: string };

/** Whether the pod stands for backends elsewhere. */
export function isRemote({ metadata }: Pick<Pod, "metadata">): boolean {
  return metadata.annotations?.[ENDPOINTS_ANNOTATION] !== undefined;
}

/** The backends that a pod stands for; words when the annotation is not what it should be. */
export function endpointsOf({ metadata }: Pick<Pod, "metadata">): Endpoints {
  const texts = split(metadata.annotations?.[ENDPOINTS_ANNOTATION]);
  const invalid = (what: string): Endpoints => ({
    kind: "invalid",
    message: `annotation ${ENDPOINTS_ANNOTATION}: ${what}; write IPv4 addresses with ports, such as 10.0.0.5:8080,10.0.0.6:8080`,
  });
  if (texts.length === 0) return invalid("it names no endpoint");
  if (texts.length > MAX_ENDPOINTS) return invalid(`it names more than ${MAX_ENDPOINTS} endpoints`);
  const endpoints = new Map<string, Endpoint>();
  for (const text of texts) {
    const [, address = "", digits = ""] = /^([^:]*):(\d{1,5})$/.exec(text) ?? [];
    const port = Number(digits);
    if (!isIPv4(address) || port < 1 || port > 65_535)
      return invalid(`${JSON.stringify(text)} is no endpoint`);
    endpoints.set(`${address}:${port}`, { address, port });
  }
  return { kind: "ok", endpoints: [...endpoints.values()] };
}

/** The endpoints, as `address:port`, that the agent found healthy. */
export function healthyOf({ metadata }: Pick<Pod, "metadata">): ReadonlySet<string> {
  return new Set(split(metadata.annotations?.[HEALTHY_ENDPOINTS_ANNOTATION]));
}

function split(text = ""): readonly string[] {
  return text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
}
