// The volumes of a pod as folders of this machine, `<pod folder>/volumes/<name>`: emptyDir, configMap, secret, downwardAPI, projected and
// hostPath. Contents of ConfigMaps and Secrets are brought up to date whenever a container of the pod starts; what an emptyDir holds stays.
// How a container comes to see them at their mountPath is sandbox.ts's to say.
import { chmod, mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join, relative, sep } from "node:path";
import { fieldValue } from "./environment.ts";
import type { Container, KeyToPath, Pod, Volume, VolumeProjection } from "./podspec.ts";

/** Reads a ConfigMap's or Secret's contents as bytes; undefined when there is none. */
export type FilesLookup = (
  kind: "ConfigMap" | "Secret",
  name: string,
) => Promise<Readonly<Record<string, Uint8Array>> | undefined>;

export interface VolumeInput {
  readonly pod: Pod;
  /** The pod's folder. */
  readonly dir: string;
  readonly lookup: FilesLookup;
  readonly podIp: string;
  readonly hostIp: string;
  readonly nodeName: string;
}

export type VolumesResult =
  /** The folder of each volume that is carried out. */
  | { readonly kind: "ok"; readonly folders: ReadonlyMap<string, string> }
  /** Something that a volume names is not there; the container waits until it is. */
  | { readonly kind: "missing"; readonly message: string };

/** One mount of a container: a folder or file of this machine and where the container sees it. */
export interface Mount {
  readonly source: string;
  readonly target: string;
  readonly isReadOnly: boolean;
}

interface File {
  readonly path: string;
  readonly data: Uint8Array;
  readonly mode: number;
}

type Files =
  | { readonly kind: "ok"; readonly files: readonly File[] }
  | { readonly kind: "missing"; readonly message: string };

const DEFAULT_MODE = 0o644;

/** Why a volume is not carried out; undefined when it is. */
export function uncarriedVolume(volume: Volume): string | undefined {
  const { name: _name, ...source } = volume;
  const kind = Object.keys(source)[0] ?? "emptyDir";
  if (!CARRIED.has(kind)) return kind;
  const hasToken = (volume.projected?.sources ?? []).some((one) => one.serviceAccountToken !== undefined);
  return hasToken ? "the service account's token" : undefined;
}

const CARRIED: ReadonlySet<string> = new Set([
  "emptyDir",
  "configMap",
  "secret",
  "downwardAPI",
  "projected",
  "hostPath",
]);

/** Makes or refreshes the folders of all volumes that containers mount. */
export async function prepareVolumes(input: VolumeInput): Promise<VolumesResult> {
  const { pod, dir } = input;
  const containers = [...(pod.spec.initContainers ?? []), ...(pod.spec.containers ?? [])];
  const mounted = new Set(
    containers.flatMap(({ volumeMounts = [] }) => volumeMounts.map(({ name }) => name)),
  );
  const folders = new Map<string, string>();
  for (const volume of pod.spec.volumes ?? []) {
    if (!mounted.has(volume.name) || uncarriedVolume(volume) !== undefined) continue;
    const folder = join(dir, "volumes", volume.name);
    const words = await prepare(input, volume, folder);
    if (words !== undefined)
      return { kind: "missing", message: `volume ${JSON.stringify(volume.name)}: ${words}` };
    folders.set(volume.name, volume.hostPath?.path ?? folder);
  }
  return { kind: "ok", folders };
}

/** The mounts of a container, outer ones first. Volumes without a folder are left out. */
export function mountsOf(
  container: Container,
  pod: Pod,
  folders: ReadonlyMap<string, string>,
): readonly Mount[] {
  const mounts = (container.volumeMounts ?? []).flatMap((mount): Mount[] => {
    const folder = folders.get(mount.name);
    if (folder === undefined) return [];
    const volume = pod.spec.volumes?.find(({ name }) => name === mount.name);
    const isWritable = volume?.emptyDir !== undefined || volume?.hostPath !== undefined;
    return [
      {
        source: join(folder, mount.subPath ?? ""),
        target: join("/", mount.mountPath),
        isReadOnly: mount.readOnly === true || !isWritable,
      },
    ];
  });
  return mounts.sort((a, b) => (a.target < b.target ? -1 : 1));
}

/** Makes one volume; words when something is missing. */
async function prepare(input: VolumeInput, volume: Volume, folder: string): Promise<string | undefined> {
  if (volume.hostPath !== undefined) return prepareHostPath(volume.hostPath);
  if (volume.emptyDir !== undefined || Object.keys(volume).length === 1) {
    await mkdir(folder, { recursive: true });
    // As a kubelet: whoever the containers run as may write.
    await chmod(folder, 0o777);
    return undefined;
  }
  const found = await filesOf(input, volume);
  if (found.kind === "missing") return found.message;
  const outside = found.files.find(({ path }) => leavesFolder(path));
  if (outside !== undefined) return `the path ${JSON.stringify(outside.path)} leads out of the volume`;
  await mkdir(folder, { recursive: true });
  await chmod(folder, 0o755);
  for (const file of found.files) await put(folder, file);
  await removeOthers(folder, new Set(found.files.map(({ path }) => path)));
  return undefined;
}

async function prepareHostPath({
  path,
  type = "",
}: NonNullable<Volume["hostPath"]>): Promise<string | undefined> {
  if (type === "DirectoryOrCreate") await mkdir(path, { recursive: true });
  const found = await stat(path).catch(() => undefined);
  if (found === undefined && type === "FileOrCreate") await writeFile(path, "");
  else if (found === undefined) return `hostPath ${path} does not exist`;
  if (type.startsWith("Directory") && found?.isDirectory() === false)
    return `hostPath ${path} is no directory`;
  return undefined;
}

async function filesOf(input: VolumeInput, volume: Volume): Promise<Files> {
  const mode = (volume.configMap ?? volume.secret ?? volume.downwardAPI ?? volume.projected)?.defaultMode;
  const sources: readonly VolumeProjection[] =
    volume.projected === undefined ? [asProjection(volume)] : (volume.projected.sources ?? []);
  const files: File[] = [];
  for (const source of sources) {
    const found = await filesOfSource(input, source, mode ?? DEFAULT_MODE);
    if (found.kind === "missing") return found;
    files.push(...found.files);
  }
  return { kind: "ok", files };
}

function asProjection({ configMap, secret, downwardAPI }: Volume): VolumeProjection {
  if (configMap !== undefined) return { configMap };
  if (secret !== undefined) {
    const { secretName = "", ...rest } = secret;
    return { secret: { name: secretName, ...rest } };
  }
  return downwardAPI === undefined ? {} : { downwardAPI };
}

async function filesOfSource(input: VolumeInput, source: VolumeProjection, mode: number): Promise<Files> {
  if (source.downwardAPI !== undefined) return downwardFiles(input, source.downwardAPI.items ?? [], mode);
  const ref = source.configMap ?? source.secret;
  if (ref === undefined) return { kind: "ok", files: [] };
  const kind = source.configMap === undefined ? "Secret" : "ConfigMap";
  const data = await input.lookup(kind, ref.name ?? "");
  if (data === undefined) {
    if (ref.optional === true) return { kind: "ok", files: [] };
    return { kind: "missing", message: `${kind.toLowerCase()} "${ref.name ?? ""}" not found` };
  }
  const wanted: readonly KeyToPath[] = ref.items ?? Object.keys(data).map((key) => ({ key, path: key }));
  const files: File[] = [];
  for (const item of wanted) {
    const bytes = Object.hasOwn(data, item.key) ? data[item.key] : undefined;
    if (bytes !== undefined) files.push({ path: item.path, data: bytes, mode: item.mode ?? mode });
    else if (ref.optional !== true)
      return { kind: "missing", message: `${kind.toLowerCase()} "${ref.name ?? ""}" has no key ${item.key}` };
  }
  return { kind: "ok", files };
}

function downwardFiles(
  input: VolumeInput,
  items: NonNullable<NonNullable<Volume["downwardAPI"]>["items"]>,
  mode: number,
): Files {
  const files: File[] = [];
  for (const item of items) {
    const fieldPath = item.fieldRef?.fieldPath ?? "";
    const { metadata } = input.pod;
    const text =
      fieldPath === "metadata.labels"
        ? lines(metadata.labels)
        : fieldPath === "metadata.annotations"
          ? lines(metadata.annotations)
          : fieldValue(input, fieldPath);
    if (text === undefined)
      return {
        kind: "missing",
        message: `${fieldPath || "resourceFieldRef"} is not supported in downwardAPI`,
      };
    files.push({ path: item.path, data: Buffer.from(text), mode: item.mode ?? mode });
  }
  return { kind: "ok", files };
}

/** Labels or annotations, a line each. Source: k8s pkg/fieldpath FormatMap. */
function lines(map: Readonly<Record<string, string>> = {}): string {
  return Object.keys(map)
    .sort()
    .map((key) => `${key}=${JSON.stringify(map[key])}`)
    .join("\n");
}

function leavesFolder(path: string): boolean {
  return path === "" || path.startsWith("/") || path.split("/").includes("..");
}

/** Writes a file as a whole, and only when it differs. */
async function put(folder: string, { path, data, mode }: File): Promise<void> {
  const file = join(folder, path);
  await mkdir(dirname(file), { recursive: true });
  const before = await readFile(file).catch(() => undefined);
  if (before === undefined || !before.equals(data)) {
    await writeFile(`${file}.weir-new`, data, { mode: 0o600 });
    await rename(`${file}.weir-new`, file);
  }
  await chmod(file, mode);
}

async function removeOthers(folder: string, wanted: ReadonlySet<string>): Promise<void> {
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isDirectory()) continue;
    const file = join(entry.parentPath, entry.name);
    if (!wanted.has(relative(folder, file).split(sep).join("/"))) await rm(file, { force: true });
  }
}
