// The image map: which local command stands for a container image. The table holds what weir ships, after the user's own entries;
// the first pattern that matches wins. A file of entries is YAML or JSON: {images: [{pattern, command, args, env, workingDir}]}.
import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import { z } from "zod";
import { WeirError } from "../../lib/errors.ts";

export interface ImageEntry {
  /** Image name as in a manifest; `*` stands for any text. */
  readonly pattern: string;
  /** `{tag}` and `{image}` are replaced, here and in args and env. */
  readonly command: readonly string[];
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Absolute. Default: the agent's own. */
  readonly workingDir?: string;
}

export type ImageMap = readonly ImageEntry[];

/** The local command of one image. */
export interface LocalImage {
  readonly command: readonly string[];
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly workingDir?: string;
}

/** Code of an image file that cannot be read. */
export const IMAGES_INVALID = "WEIR_ERR_EMBEDDED_IMAGES";

const FILE = z.strictObject({
  images: z.array(
    z.strictObject({
      pattern: z.string().min(1),
      command: z.array(z.string()).min(1),
      args: z.array(z.string()).default([]),
      env: z.record(z.string(), z.string()).default({}),
      workingDir: z.string().optional(),
    }),
  ),
});

/** What weir ships: the demo of the Argo Rollouts getting-started guide, its tag being the colour. */
export function defaultImages(): ImageMap {
  // In the installed package the same file is JavaScript.
  const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
  const app = fileURLToPath(new URL(`../../../deploy/examples/quickstart/app.${extension}`, import.meta.url));
  return [
    {
      pattern: "argoproj/rollouts-demo:*",
      command: [process.execPath, app],
      args: [],
      env: { VERSION: "{tag}" },
    },
  ];
}

/** Reads a user's file; relative working directories start at the file. Throws IMAGES_INVALID naming file and field. */
export async function loadImages(file: string): Promise<ImageMap> {
  const invalid = (what: string, cause?: unknown): WeirError =>
    new WeirError({
      code: IMAGES_INVALID,
      source: "user",
      message: `cannot read the image map ${file}: ${what}; expected {images: [{pattern, command: [program, arg, …]}]}`,
      cause,
    });
  let raw: unknown;
  try {
    raw = parse(await readFile(file, "utf8"));
  } catch (error) {
    throw invalid(error instanceof Error ? error.message : String(error), error);
  }
  const parsed = FILE.safeParse(raw);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw invalid(`${issue?.path.join(".") ?? ""}: ${issue?.message ?? "invalid"}`);
  }
  return parsed.data.images.map(({ workingDir, ...entry }) =>
    workingDir === undefined ? entry : { ...entry, workingDir: resolve(dirname(file), workingDir) },
  );
}

/** The local command for an image, or undefined when no pattern matches. */
export function findImage(images: ImageMap, image: string): LocalImage | undefined {
  const name = normalise(image);
  const entry = images.find(({ pattern }) => matches(normalise(pattern), name));
  if (entry === undefined) return undefined;
  const fill = (text: string): string => text.replaceAll("{tag}", tagOf(name)).replaceAll("{image}", image);
  return {
    command: entry.command.map(fill),
    args: entry.args.map(fill),
    env: Object.fromEntries(Object.entries(entry.env).map(([key, value]) => [key, fill(value)])),
    ...(entry.workingDir === undefined ? {} : { workingDir: entry.workingDir }),
  };
}

/** Docker's short names: `docker.io/` and `library/` may be left out, and so may the tag `latest`. */
function normalise(image: string): string {
  const short = image.replace(/^(?:index\.)?docker\.io\//, "").replace(/^library\//, "");
  const last = short.slice(short.lastIndexOf("/") + 1);
  return last.includes(":") || last.includes("@") || short.endsWith("*") ? short : `${short}:latest`;
}

function tagOf(name: string): string {
  const last = name.slice(name.lastIndexOf("/") + 1).replace(/@.*$/, "");
  const colon = last.indexOf(":");
  return colon < 0 ? "latest" : last.slice(colon + 1);
}

function matches(pattern: string, name: string): boolean {
  const parts = pattern.split("*").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`).test(name);
}
