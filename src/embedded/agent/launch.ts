// Turns a container of a manifest into a command line that can be started here, or into the waiting reason that a kubelet would show,
// with words that say what to do: unknown image, missing ConfigMap, command that does not exist.
import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import { delimiter, isAbsolute, join, resolve } from "node:path";
import { buildEnvironment, commandLine, type DataLookup } from "./environment.ts";
import { findImage, type ImageMap } from "./images.ts";
import type { PodNetwork } from "./network.ts";
import type { Container, Pod } from "./podspec.ts";

export interface LaunchInput {
  readonly pod: Pod;
  readonly container: Container;
  readonly network: PodNetwork;
  readonly nodeName: string;
  readonly hostIp: string;
  readonly images: ImageMap;
  readonly lookup: DataLookup;
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
      readonly cwd: string;
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
  const built = await buildEnvironment({
    pod: input.pod,
    container,
    podIp: input.network.podIp,
    hostIp: input.hostIp,
    nodeName: input.nodeName,
    base: { ...inherited(input.hostEnv), ...image?.env },
    ports: new Map(Object.entries(input.network.ports).map(([port, actual]) => [Number(port), actual])),
    lookup: input.lookup,
  });
  if (built.kind === "missing") return waiting("CreateContainerConfigError", built.message);
  const cwd = resolve(input.workDir, container.workingDir ?? image?.workingDir ?? ".");
  if (!(await isDirectory(cwd))) {
    return waiting(
      "CreateContainerError",
      `workingDir ${cwd} is no directory of this machine: make it, or name another (containers run as local processes)`,
    );
  }
  const [program = "", ...args] = commandLine(container, image, built.env);
  const found = await findProgram(program, cwd, built.env.PATH ?? DEFAULT_PATH);
  if (found === undefined) return notExecutable(program, container.name);
  return { kind: "ready", ...withForeignNames([found, ...args], built.env), cwd };
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

async function findProgram(program: string, cwd: string, path: string): Promise<string | undefined> {
  if (program === "") return undefined;
  const candidates = program.includes("/")
    ? [isAbsolute(program) ? program : resolve(cwd, program)]
    : path.split(delimiter).map((folder) => join(folder === "" ? cwd : folder, program));
  for (const candidate of candidates) if (await isExecutable(candidate)) return candidate;
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
