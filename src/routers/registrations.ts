// Which pods of a version a load balancer knows: the target groups that its controller keeps a Service's endpoints in, held against the pods
// that should be there. Pure; asking AWS is the controller's business. Source: Argo: utils/aws/aws.go VerifyTargetGroupBinding, v1.9.
import type { EndpointSlice, Registration, Service, TargetGroupBinding } from "../api/api.ts";

/** Where a load balancer sends to. */
export interface Target {
  readonly ip: string;
  readonly port: number;
}

/** By ARN of the target group: what is registered in it, or why that cannot be told. */
export type TargetAnswers = ReadonlyMap<string, readonly Target[] | string>;

/** The pods of one version behind a Service. */
export interface VersionPods {
  readonly service: Service;
  /** Those of the Service. */
  readonly slices: readonly EndpointSlice[];
  /** Their names. */
  readonly names: ReadonlySet<string>;
  /** So many are available. Endpoints follow a selector with a delay: as long as they show fewer pods, the missing ones count as unregistered. */
  readonly available: number;
}

/** The bindings of the Service whose target groups hold pods; those that hold nodes tell nothing of pods. */
export function podBindings(
  service: Service,
  bindings: readonly TargetGroupBinding[],
): readonly TargetGroupBinding[] {
  return bindings.filter(
    (binding) =>
      binding.spec.targetType === "ip" &&
      binding.spec.serviceRef.name === service.metadata.name &&
      portNameOf(service, binding) !== undefined,
  );
}

/** How many of the pods each of these target groups has. */
export function registrationsOf(
  pods: VersionPods,
  bindings: readonly TargetGroupBinding[],
  answers: TargetAnswers,
): readonly Registration[] {
  return bindings.map((binding) => {
    const { targetGroupARN: targetGroup } = binding.spec;
    const answer = answers.get(targetGroup);
    const at = { service: pods.service.metadata.name, targetGroup };
    if (answer === undefined) return { ...at, state: { kind: "unknown" } };
    if (typeof answer === "string") return { ...at, state: { kind: "failed", why: answer } };
    const wanted = expectedTargets(pods, binding);
    const known = new Set(answer.map(textOf));
    const registered = [...wanted].filter((target) => known.has(target)).length;
    return { ...at, state: { kind: "seen", registered, total: Math.max(wanted.size, pods.available) } };
  });
}

/** The version's ready pods with the port that the binding leads to, as the endpoints show them. */
export function expectedTargets(
  { service, slices, names }: Omit<VersionPods, "available">,
  binding: TargetGroupBinding,
): ReadonlySet<string> {
  const portName = portNameOf(service, binding);
  const addressType = binding.spec.ipAddressType === "ipv6" ? "IPv6" : "IPv4";
  return new Set(
    slices.flatMap((slice) => {
      const port = slice.ports?.find(({ name = "" }) => name === portName)?.port;
      if (port === undefined || slice.addressType !== addressType) return [];
      return slice.endpoints
        .filter(
          ({ conditions, targetRef }) => conditions?.ready !== false && names.has(targetRef?.name ?? ""),
        )
        .flatMap(({ addresses }) => addresses.map((ip) => textOf({ ip, port })));
    }),
  );
}

/** The name of the Service's port that the binding stands for: endpoints tell ports by it, whatever number a pod has given them. */
function portNameOf({ spec }: Service, { spec: { serviceRef } }: TargetGroupBinding): string | undefined {
  const found = spec.ports?.find(({ name, port }) => serviceRef.port === port || serviceRef.port === name);
  return found === undefined ? undefined : (found.name ?? "");
}

function textOf({ ip, port }: Target): string {
  return `${ip} ${port}`;
}
