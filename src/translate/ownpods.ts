// The pods of a version as endpoints by themselves, where no Service selects them and no translation has seen them before: a new leader's first
// look at a blue-green Rollout whose Service was switched while a proxy still sends to the other version.
import { ENDPOINTS_ANNOTATION, PORTS_ANNOTATION, type Pod, type ServicePort } from "../api/api.ts";
import { isObject } from "../lib/json.ts";
import type { TranslateInput } from "./input.ts";
import type { PodEndpoint } from "./memo.ts";
import type { ClusterPlan } from "./versions.ts";

/** Those that are ready, at the port that its Services would lead to. Pods that stand for backends elsewhere are left out. */
export function ownPods(input: TranslateInput, { podHash, destinations }: ClusterPlan): PodEndpoint[] {
  const namespace = destinations[0]?.namespace ?? "";
  if (podHash === undefined || input.pods === undefined) return [];
  const ports = destinations.flatMap(({ service, port }) => {
    const found = input.service(namespace, service)?.spec?.ports;
    return found?.find((candidate) => candidate.port === port) ?? [];
  });
  return input.pods(namespace, podHash).flatMap((pod) => {
    const { metadata, status } = pod;
    const isReady = status?.conditions?.some((one) => one.type === "Ready" && one.status === "True") === true;
    const isElsewhere = metadata.annotations?.[ENDPOINTS_ANNOTATION] !== undefined;
    const address = status?.podIP ?? "";
    const [port] = ports.flatMap((candidate) => portOf(candidate, pod) ?? []);
    if (!isReady || isElsewhere || address === "" || port === undefined) return [];
    return metadata.deletionTimestamp === undefined ? [{ address, port, pod: metadata.name }] : [];
  });
}

/** Where the pod serves a Service's port; undefined when it has no port of that name. */
function portOf({ port, targetPort = port }: ServicePort, pod: Pod): number | undefined {
  if (typeof targetPort === "number") return actualPort(pod, targetPort);
  const sidecars = (pod.spec?.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === "Always");
  const declared = [...(pod.spec?.containers ?? []), ...sidecars]
    .flatMap(({ ports }) => ports ?? [])
    .find(({ name }) => name === targetPort);
  return declared && actualPort(pod, declared.containerPort);
}

/** On the embedded server pods share an address, and each has ports of its own. */
function actualPort({ metadata }: Pod, declared: number): number {
  try {
    const actual: unknown = JSON.parse(metadata.annotations?.[PORTS_ANNOTATION] ?? "{}");
    const port = isObject(actual) ? Number(actual[declared]) : Number.NaN;
    return Number.isInteger(port) ? port : declared;
  } catch {
    // Somebody else wrote it; the declared port stands.
    return declared;
  }
}
