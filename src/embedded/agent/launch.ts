// Turns a container of a manifest into a command line that can be started here, or into the waiting reason that a kubelet would show,
// with words that say what to do: unknown image, missing ConfigMap, command that does not exist.
import { constants } from "node:fs";
import { access, appendFile, mkdir, stat } from "node:fs/promises";
import { delimiter, dirname, isAbsolute, join, resolve } from "node:path";
import { buildEnvironment, commandLine, type DataLookup } from "./environment.ts";
import { findImage, type ImageMap } from "./images.ts";
import type { PodNetwork } from "./network.ts";
import type { Container, Pod } from "./podspec.ts";
import { type Ability, identityOf, type Sandbox, sandboxOf } from "./sandbox.ts";
import { type FilesLookup, type Mount, mountsOf, prepareVolumes } from "./volumes.ts";

export interface LaunchInput {
  readonly pod: Pod;
  readonly container: Container;
  readonly network: PodNetwork;
  readonly nodeName: string;
  readonly hostIp: string;
  readonly images: ImageMap;
  readonly lookup: DataLookup;
  /** Contents of ConfigMaps and Secrets for volumes. */
  readonly files: FilesLookup;
  /** The pod's folder, and the container's in it. */
  readonly podDir: string;
  readonly dir: string;
  readonly ability: Ability;
  /** Environment from which PATH, HOME and the like are taken. */
  readonly hostEnv: Readonly<Record<string, string | undefined>>;
  /** Working directory of containers that name none. */
  readonly workDir: string;
}

export type Launch =
  | {
      readonly kind: "ready";
      readonly argv: readonly string[];
      readonly env: Readonly<Record<string, string>>;
      /** Where it is spawned; in its own view it may be elsewhere. */
      readonly cwd: string;
      readonly sandbox: Sandbox;
      /** What it does not get, in words for an event. */
      readonly notes: readonly string[];
    }
  | { readonly kind: "waiting"; readonly reason: WaitingReason; readonly message: string };

export type WaitingReason =
  | "ErrImagePull"
  | "CreateContainerConfigError"
  | "CreateContainerError"
  | "RunContainerError";

/** What a process inherits of the agent's environment; everything else of it stays private. */
const INHERITED = ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "TZ", "TMPDIR"] as const;
const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/** What a shell, which stands between the agent and the process, can hold as a variable. */
const SHELL_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** Prepares a start. Never throws for what a manifest says. */
export async function prepareLaunch(input: LaunchInput): Promise<Launch> {
  const { container } = input;
  const image = findImage(input.images, container.image ?? "");
  if (image === undefined && (container.command ?? []).length === 0) return unknownImage(container);
  const made = await makeVolumes(input);
  if (made.kind === "missing") return waiting("CreateContainerConfigError", made.message);
  const { mounts } = made;
  const identity = identityOf(container, input.pod, input.ability);
  const home = identity.uid === undefined ? {} : { HOME: "/" };
  const built = await buildEnvironment({
    pod: input.pod,
    container,
    podIp: input.network.podIp,
    hostIp: input.hostIp,
    nodeName: input.nodeName,
    base: { ...inherited(input.hostEnv), ...home, ...made.variables, ...image?.env },
    ports: new Map(Object.entries(input.network.ports).map(([port, actual]) => [Number(port), actual])),
    lookup: input.lookup,
  });
  if (built.kind === "missing") return waiting("CreateContainerConfigError", built.message);
  const seen = input.ability.mounts === undefined ? [] : mounts;
  const cwd = resolve(input.workDir, container.workingDir ?? image?.workingDir ?? ".");
  if (!(await isDirectory(hostPath(cwd, seen)))) {
    return waiting(
      "CreateContainerError",
      `workingDir ${cwd} is no directory of this machine: make it, or name another (containers run as local processes)`,
    );
  }
  const [program = "", ...args] = commandLine(container, image, built.env);
  const found = await findProgram(program, cwd, built.env.PATH ?? DEFAULT_PATH, seen);
  if (found === undefined) return notExecutable(program, container.name);
  const { argv, env } = withForeignNames([found, ...args], built.env);
  await mkdir(join(input.dir, "mounts"), { recursive: true });
  const sandbox = sandboxOf({ argv, cwd, mounts, identity, ability: input.ability, dir: input.dir });
  const notes = input.ability.mounts === undefined ? mounts.map(unmounted) : [];
  return { kind: "ready", argv: sandbox.argv, env, cwd: sandbox.cwd, sandbox, notes };
}

type Made =
  | {
      readonly kind: "ok";
      readonly mounts: readonly Mount[];
      /** The folder of each mounted volume, for programs that run where nothing can be mounted. */
      readonly variables: Readonly<Record<string, string>>;
    }
  | { readonly kind: "missing"; readonly message: string };

async function makeVolumes(input: LaunchInput): Promise<Made> {
  const { container, pod, podDir: dir, files: lookup, hostIp, nodeName } = input;
  if ((container.volumeMounts ?? []).length === 0) return { kind: "ok", mounts: [], variables: {} };
  const made = await prepareVolumes({ pod, dir, lookup, podIp: input.network.podIp, hostIp, nodeName });
  if (made.kind === "missing") return made;
  const names = new Set((container.volumeMounts ?? []).map(({ name }) => name));
  const variables = Object.fromEntries(
    [...made.folders].filter(([name]) => names.has(name)).map(([name, folder]) => [variableOf(name), folder]),
  );
  const mounts = mountsOf(container, pod, made.folders);
  for (const mount of mounts) await provide(mount, mounts);
  // What this machine has at that path already needs no mount.
  return { kind: "ok", mounts: mounts.filter((mount) => mount.source !== mount.target), variables };
}

/** A subPath, or the place for a mount inside another one, is made where it is absent, as container runtimes do. */
async function provide(mount: Mount, mounts: readonly Mount[]): Promise<void> {
  if (!mount.isReadOnly) await mkdir(mount.source, { recursive: true }).catch(() => undefined); // a file is there
  const around = mounts.findLast(({ target }) => mount.target.startsWith(`${target}/`));
  if (around === undefined) return;
  const place = join(around.source, mount.target.slice(around.target.length));
  if (!(await isDirectory(mount.source))) {
    await mkdir(dirname(place), { recursive: true });
    await appendFile(place, "");
  } else await mkdir(place, { recursive: true });
}

/** Name of the variable that holds a volume's folder. */
function variableOf(volume: string): string {
  return `WEIR_VOLUME_${volume.toUpperCase().replaceAll(/[^A-Z0-9]/g, "_")}`;
}

function unmounted({ target, source }: Mount): string {
  return (
    `${target} is not mounted: this machine gives no mount namespaces. The files are in ${source}, ` +
    "which is in the environment as WEIR_VOLUME_ and the volume's name"
  );
}

/** Where a path of the container is on this machine. */
function hostPath(path: string, mounts: readonly Mount[]): string {
  const mount = mounts.findLast(({ target }) => path === target || path.startsWith(`${target}/`));
  return mount === undefined ? path : join(mount.source, path.slice(mount.target.length));
}

function waiting(reason: WaitingReason, message: string): Launch {
  return { kind: "waiting", reason, message };
}

function unknownImage(container: Container): Launch {
  return waiting(
    "ErrImagePull",
    `no local command is known for image ${JSON.stringify(container.image ?? "")}: containers run here as local processes; ` +
      `give container ${container.name} a command, or map the image in a file passed with --images`,
  );
}

function notExecutable(program: string, container: string): Launch {
  const why = program.includes("/") ? "no such executable file" : "executable file not found in $PATH";
  return waiting(
    "RunContainerError",
    `exec: ${JSON.stringify(program)}: ${why}: install it on this machine or correct the command of container ${container}`,
  );
}

function inherited(env: LaunchInput["hostEnv"]): Record<string, string> {
  const base: Record<string, string> = { PATH: DEFAULT_PATH };
  for (const name of INHERITED) {
    const value = env[name];
    if (value !== undefined) base[name] = value;
  }
  return base;
}

/** Variables whose names a shell would drop (`spring.port`) are set by env(1), which becomes the program. */
function withForeignNames(
  argv: readonly string[],
  env: Readonly<Record<string, string>>,
): { readonly argv: readonly string[]; readonly env: Readonly<Record<string, string>> } {
  const foreign = Object.entries(env).filter(([name]) => !SHELL_NAME.test(name));
  if (foreign.length === 0) return { argv, env };
  return {
    argv: ["/usr/bin/env", ...foreign.map(([name, value]) => `${name}=${value}`), ...argv],
    env: Object.fromEntries(Object.entries(env).filter(([name]) => SHELL_NAME.test(name))),
  };
}

async function findProgram(
  program: string,
  cwd: string,
  path: string,
  mounts: readonly Mount[],
): Promise<string | undefined> {
  if (program === "") return undefined;
  const candidates = program.includes("/")
    ? [isAbsolute(program) ? program : resolve(cwd, program)]
    : path.split(delimiter).map((folder) => join(folder === "" ? cwd : folder, program));
  for (const candidate of candidates) if (await isExecutable(hostPath(candidate, mounts))) return candidate;
  return undefined;
}

async function isExecutable(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK);
    return (await stat(file)).isFile();
  } catch {
    // Absent or not allowed: either way it cannot be started.
    return false;
  }
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch {
    // Absent.
    return false;
  }
}
