// The environment of a container: what the agent sets, what the manifest adds, and `$(VAR)` expansion. Pure: ConfigMaps and Secrets
// come through a lookup. Order and rules as a kubelet has them: envFrom first, then env in order, each seeing those before it.
import type { Container, KeyRef, Pod } from "./podspec.ts";

/** Reads the data of a ConfigMap or Secret (decoded) in the pod's namespace; undefined when there is none. */
export type DataLookup = (
  kind: "ConfigMap" | "Secret",
  name: string,
) => Promise<Readonly<Record<string, string>> | undefined>;

export interface EnvironmentInput {
  readonly pod: Pod;
  readonly container: Container;
  readonly podIp: string;
  readonly hostIp: string;
  readonly nodeName: string;
  /** What the process gets beneath everything else: PATH, HOME and the like, and the image's own variables. */
  readonly base: Readonly<Record<string, string>>;
  /** Actual port by declared container port. */
  readonly ports: ReadonlyMap<number, number>;
  readonly lookup: DataLookup;
}

export type EnvironmentResult =
  | { readonly kind: "ok"; readonly env: Readonly<Record<string, string>> }
  /** A reference leads nowhere; the container waits until it does. */
  | { readonly kind: "missing"; readonly message: string };

/** Builds the environment. */
export async function buildEnvironment(input: EnvironmentInput): Promise<EnvironmentResult> {
  const env: Record<string, string> = { ...input.base, ...podVariables(input) };
  for (const source of input.container.envFrom ?? []) {
    const ref = source.configMapRef ?? source.secretRef;
    if (ref === undefined) continue;
    const kind = source.configMapRef === undefined ? "Secret" : "ConfigMap";
    const data = await input.lookup(kind, ref.name ?? "");
    if (data === undefined && ref.optional !== true) return missing(kind, ref.name ?? "");
    for (const [key, value] of Object.entries(data ?? {})) env[`${source.prefix ?? ""}${key}`] = value;
  }
  for (const { name, value, valueFrom } of input.container.env ?? []) {
    if (valueFrom === undefined) {
      env[name] = expand(value ?? "", env);
      continue;
    }
    const found = await resolve(input, valueFrom);
    if (found.kind === "missing") return found;
    if (found.value !== undefined) env[name] = found.value;
  }
  return { kind: "ok", env };
}

/** Replaces `$(NAME)` by the variable's value; `$$(NAME)` stays as `$(NAME)`, and so does a name that is not set. Source: k8s third_party/forked expansion. */
export function expand(text: string, env: Readonly<Record<string, string>>): string {
  return text.replace(/\$\$|\$\(([^()]*)\)/g, (whole, name: string | undefined) => {
    if (whole === "$$") return "$";
    return name !== undefined && Object.hasOwn(env, name) ? (env[name] ?? "") : whole;
  });
}

/** Command line of a container: its command and args, expanded, over the image's own. Empty when neither names a command. */
export function commandLine(
  container: Container,
  image: { readonly command: readonly string[]; readonly args: readonly string[] } | undefined,
  env: Readonly<Record<string, string>>,
): readonly string[] {
  const own = container.command ?? [];
  const command = own.length > 0 ? own : (image?.command ?? []);
  // As with an image's ENTRYPOINT and CMD: a command of the manifest drops the image's args as well.
  const args = container.args ?? (own.length > 0 ? [] : (image?.args ?? []));
  const expandAll = (words: readonly string[]): string[] => words.map((word) => expand(word, env));
  const fromManifest = own.length > 0 ? expandAll(command) : command;
  return fromManifest.length === 0 ? [] : [...fromManifest, ...(container.args ? expandAll(args) : args)];
}

function podVariables(input: EnvironmentInput): Record<string, string> {
  const { pod, container, ports } = input;
  const variables: Record<string, string> = {
    HOSTNAME: pod.metadata.name,
    POD_NAME: pod.metadata.name,
    POD_NAMESPACE: pod.metadata.namespace ?? "",
    POD_IP: input.podIp,
  };
  for (const { containerPort } of container.ports ?? []) {
    const actual = String(ports.get(containerPort) ?? containerPort);
    variables.PORT ??= actual;
    variables[`PORT_${containerPort}`] = actual;
  }
  return variables;
}

type Value = { readonly kind: "ok"; readonly value: string | undefined } | Missing;
type Missing = { readonly kind: "missing"; readonly message: string };

async function resolve(
  input: EnvironmentInput,
  from: NonNullable<NonNullable<Container["env"]>[number]["valueFrom"]>,
): Promise<Value> {
  if (from.configMapKeyRef !== undefined) return keyValue(input, "ConfigMap", from.configMapKeyRef);
  if (from.secretKeyRef !== undefined) return keyValue(input, "Secret", from.secretKeyRef);
  if (from.fieldRef !== undefined) {
    const value = fieldValue(input, from.fieldRef.fieldPath);
    if (value !== undefined) return { kind: "ok", value };
    return { kind: "missing", message: `the fieldPath ${from.fieldRef.fieldPath} is not supported in env` };
  }
  return {
    kind: "missing",
    message: "only fieldRef, configMapKeyRef and secretKeyRef are supported in env.valueFrom",
  };
}

async function keyValue(input: EnvironmentInput, kind: "ConfigMap" | "Secret", ref: KeyRef): Promise<Value> {
  const data = await input.lookup(kind, ref.name ?? "");
  if (data === undefined) return ref.optional === true ? absent : missing(kind, ref.name ?? "");
  if (Object.hasOwn(data, ref.key)) return { kind: "ok", value: data[ref.key] };
  if (ref.optional === true) return absent;
  const where = `${kind} ${input.pod.metadata.namespace}/${ref.name}`;
  return { kind: "missing", message: `couldn't find key ${ref.key} in ${where}` };
}

const absent: Value = { kind: "ok", value: undefined };

function missing(kind: "ConfigMap" | "Secret", name: string): Missing {
  return { kind: "missing", message: `${kind.toLowerCase()} "${name}" not found` };
}

/** The value of a field of the pod as the downward API names it; undefined for one that it does not have. */
export function fieldValue(
  input: Pick<EnvironmentInput, "pod" | "nodeName" | "podIp" | "hostIp">,
  path: string,
): string | undefined {
  const { metadata, spec } = input.pod;
  const keyed = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(path);
  if (keyed !== null)
    return (keyed[1] === "labels" ? metadata.labels : metadata.annotations)?.[keyed[2] ?? ""] ?? "";
  switch (path) {
    case "metadata.name":
      return metadata.name;
    case "metadata.namespace":
      return metadata.namespace ?? "";
    case "metadata.uid":
      return metadata.uid ?? "";
    case "spec.nodeName":
      return input.nodeName;
    case "spec.serviceAccountName":
      return spec.serviceAccountName ?? "default";
    case "status.podIP":
    case "status.podIPs":
      return input.podIp;
    case "status.hostIP":
    case "status.hostIPs":
      return input.hostIp;
    default:
      return undefined;
  }
}
