// What a container's process gets of its own although it runs beside all others: volumes at their mountPath, in a mount namespace of its own,
// and the user and group of its securityContext. With root rights the namespace is made directly, without them inside a user namespace (the
// process then sees itself as root, as in rootless containers). Where neither can be had the agent says so (uncarried.ts, launch.ts).
//
// A mountPath that this machine does not have is made on a tmpfs that covers its nearest existing folder in that namespace alone and shows all
// that was there before: nothing is made on the machine itself.
import { execFile } from "node:child_process";
import { access } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, sleep } from "../../lib/clock.ts";
import type { Container, Pod } from "./podspec.ts";
import type { Mount } from "./volumes.ts";

/** What this machine allows. */
export interface Ability {
  /** How mount namespaces are made; undefined: not at all. */
  readonly mounts: "root" | "user" | undefined;
  /** Whether a process can be given another user and group. */
  readonly users: boolean;
  /** Whether a process can be kept from gaining rights. */
  readonly noNewPrivileges: boolean;
}

/** Whom a process runs as. */
export interface Identity {
  /** Undefined: as the agent. */
  readonly uid?: number;
  readonly gid?: number;
  readonly groups: readonly number[];
  readonly noNewPrivileges: boolean;
}

export interface SandboxInput {
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly mounts: readonly Mount[];
  readonly identity: Identity;
  readonly ability: Ability;
  /** Folder of the container: an empty folder for mounts, and a file that says that they are done, are made in it. */
  readonly dir: string;
}

export interface Sandbox {
  readonly argv: readonly string[];
  /** Where the process is to be spawned. */
  readonly cwd: string;
  /** What stands before a command (of a probe or hook) that runs beside the container's process `pid`, and where it is spawned. */
  enter(pid: number): { readonly prefix: readonly string[]; readonly cwd: string };
  /** Exists once the container's process has its mounts; undefined: it has them from the start. */
  readonly doneFile: string | undefined;
}

/** How long mounts may take before commands are run all the same. */
const MOUNT_WAIT_MS = 10_000;
const MOUNT_LOOK_MS = 20;
const TRIAL_TIMEOUT_MS = 5_000;
const TOOLS_PATH = "/usr/sbin:/usr/bin:/sbin:/bin";

// Arguments: an empty folder, a file to make when done, the working directory, the number of operations, each as three words, and the command.
const SETUP = `set -eu
scratch=$1 done=$2 cwd=$3 count=$4; shift 4
path=\${PATH-}; PATH=${TOOLS_PATH}; covered=:
cover() {
  case "$covered" in *":$1:"*) return 0;; esac
  mount -n -t tmpfs -o "mode=$(stat -c %a "$1")" weir "$scratch"
  for old in "$1"/* "$1"/.[!.]* "$1"/..?*; do
    new=$scratch/\${old##*/}
    if [ -L "$old" ]; then ln -s "$(readlink "$old")" "$new"
    elif [ -d "$old" ]; then mkdir "$new"; mount -n --rbind "$old" "$new"
    elif [ -e "$old" ]; then : >"$new"; mount -n --bind "$old" "$new"; fi
  done
  if [ "$1" = / ]; then
    mkdir "$scratch/.weir-old"; cd "$scratch"; pivot_root . .weir-old; cd /
    umount -l /.weir-old; rmdir /.weir-old
  else mount -n --move "$scratch" "$1"; fi
  while umount -l "$scratch" 2>/dev/null; do :; done
  covered=$covered$1:
}
provide() {
  if [ -e "$1" ]; then return 0; fi
  near=$(dirname "$1")
  while [ ! -d "$near" ]; do near=$(dirname "$near"); done
  cover "$(cd "$near" && pwd -P)"
  if [ -d "$2" ]; then mkdir -p "$1"; else mkdir -p "$(dirname "$1")"; : >"$1"; fi
}
protect() {
  mount -n -o remount,bind,ro "$1" 2>/dev/null || mount -n -o remount,bind,ro,nosuid,nodev "$1" 2>/dev/null ||
    mount -n -o remount,bind,ro,nosuid,nodev,noexec "$1"
}
while [ "$count" -gt 0 ]; do
  case $1 in
    bind) provide "$3" "$2"; mount -n --rbind "$2" "$3";;
    protect) protect "$3";;
  esac
  shift 3; count=$((count - 1))
done
PATH=$path
cd "$cwd"
: >"$done"
exec "$@"`;

/** Builds the command line that becomes the container's. Without mounts and another identity it is the command itself. */
export function sandboxOf(input: SandboxInput): Sandbox {
  const { argv, cwd, mounts, identity, ability, dir } = input;
  const asUser = identityWords(identity);
  if (mounts.length === 0 || ability.mounts === undefined) {
    return {
      argv: [...asUser, ...argv],
      cwd,
      enter: () => ({ prefix: asUser, cwd }),
      doneFile: undefined,
    };
  }
  const operations = [
    ...mounts.map(({ source, target }) => ["bind", source, target]),
    ...mounts.filter(({ isReadOnly }) => isReadOnly).map(({ source, target }) => ["protect", source, target]),
  ];
  const inUserNamespace = ability.mounts === "user";
  const doneFile = join(dir, "mounted");
  return {
    argv: [
      "/usr/bin/unshare",
      ...(inUserNamespace ? ["--user", "--map-root-user"] : []),
      "--mount",
      "--propagation=private",
      "/bin/sh",
      "-c",
      SETUP,
      "weir-sandbox",
      join(dir, "mounts"),
      doneFile,
      cwd,
      String(operations.length),
      ...operations.flat(),
      ...asUser,
      ...argv,
    ],
    cwd: "/",
    enter: (pid) => ({
      prefix: [
        "/usr/bin/nsenter",
        `--target=${pid}`,
        ...(inUserNamespace ? ["--user", "--preserve-credentials"] : []),
        "--mount",
        "--root",
        "--wd",
        "/bin/sh",
        "-c",
        'cd "$0" && exec "$@"',
        cwd,
        ...asUser,
      ],
      cwd: "/",
    }),
    doneFile,
  };
}

/** What stands before a command beside the container's process, once that has its mounts; bounded. */
export async function enterSandbox(
  clock: Clock,
  sandbox: Sandbox,
  pid: number,
): Promise<ReturnType<Sandbox["enter"]>> {
  const untilMs = clock.nowMs() + MOUNT_WAIT_MS;
  while (sandbox.doneFile !== undefined && clock.nowMs() < untilMs && !(await exists(sandbox.doneFile)))
    await sleep(clock, MOUNT_LOOK_MS);
  return sandbox.enter(pid);
}

/** Whom a container runs as: its securityContext over the pod's. */
export function identityOf(container: Container, pod: Pod, ability: Ability): Identity {
  const of = pod.spec.securityContext ?? {};
  const own = { ...of, ...container.securityContext };
  const wantsOther = own.runAsUser !== undefined || own.runAsGroup !== undefined;
  return {
    ...(ability.users &&
      wantsOther && {
        ...(own.runAsUser !== undefined && { uid: own.runAsUser }),
        // As container runtimes: the group root for a user that no image knows.
        gid: own.runAsGroup ?? 0,
      }),
    groups: ability.users ? (of.supplementalGroups ?? []) : [],
    noNewPrivileges: ability.noNewPrivileges && container.securityContext?.allowPrivilegeEscalation === false,
  };
}

function identityWords({ uid, gid, groups, noNewPrivileges }: Identity): readonly string[] {
  const words = [
    ...(uid === undefined ? [] : [`--reuid=${uid}`]),
    ...(gid === undefined ? [] : [`--regid=${gid}`]),
    ...(groups.length > 0 ? [`--groups=${groups.join(",")}`] : uid === undefined ? [] : ["--clear-groups"]),
    ...(noNewPrivileges ? ["--no-new-privs"] : []),
  ];
  return words.length === 0 ? [] : ["/usr/bin/setpriv", ...words];
}

/** Finds out what this machine allows, by trying. */
export async function findAbility(): Promise<Ability> {
  if (process.platform !== "linux") return { mounts: undefined, users: false, noNewPrivileges: false };
  const isRoot = process.getuid?.() === 0;
  const trial = ["/bin/sh", "-c", "command -v pivot_root nsenter && mount -t tmpfs weir /proc"];
  const namespace = ["--mount", "--propagation=private", ...trial];
  const [asRoot, asUser, hasSetpriv] = await Promise.all([
    isRoot ? succeeds("/usr/bin/unshare", namespace) : false,
    succeeds("/usr/bin/unshare", ["--user", "--map-root-user", ...namespace]),
    exists("/usr/bin/setpriv"),
  ]);
  return {
    mounts: asRoot ? "root" : asUser ? "user" : undefined,
    users: isRoot && hasSetpriv,
    noNewPrivileges: hasSetpriv,
  };
}

function succeeds(program: string, args: readonly string[]): Promise<boolean> {
  return new Promise((resolve) => {
    const options = { env: { PATH: TOOLS_PATH }, timeout: TRIAL_TIMEOUT_MS };
    execFile(program, args, options, (error) => resolve(error === null));
  });
}

async function exists(file: string): Promise<boolean> {
  try {
    await access(file);
    return true;
  } catch {
    // Not installed.
    return false;
  }
}
