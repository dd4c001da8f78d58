// Manifests are read from anywhere, and errors say where.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { test } from "tap";
import { parseManifests, readManifests } from "../../src/cli/manifests.ts";

const SERVICE = "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\nspec:\n  ports:\n    - port: 80\n";
const none = Readable.from([]);

test("manifests: several documents and Lists are taken apart, and fields are located", async (t) => {
  const list = `apiVersion: v1\nkind: List\nitems:\n  - ${SERVICE.trimEnd().replaceAll("\n", "\n    ")}\n`;
  const manifests = parseManifests("m.yaml", `${SERVICE}---\n# nothing\n---\n${list}`);
  t.strictSame(
    manifests.map(({ type, object }) => `${type.kind} ${object.metadata.name}`),
    ["Service web", "Service web"],
  );
  t.equal(manifests[0]?.locate(["spec", "ports", 0, "port"]), "m.yaml:7:13");
  t.equal(manifests[1]?.locate(["spec", "ports", 0, "port"]), "m.yaml:20:17");
  t.equal(manifests[0]?.locate(["spec", "selector", "app"]), "m.yaml:6:3", "the nearest thing that is there");
});

test("manifests: a syntax error names file, line and column", async (t) => {
  t.throws(() => parseManifests("m.yaml", "apiVersion: v1\nkind: [Service\n"), {
    code: "WEIR_ERR_CLI_MANIFEST",
    message: /^m\.yaml:3:1: /,
  });
});

test("manifests: what is no object, has no kind, an unknown one or no name is refused where it stands", async (t) => {
  const words = (content: string): string => {
    try {
      parseManifests("m.yaml", content);
    } catch (error) {
      return error instanceof Error ? error.message : "";
    }
    return "";
  };
  t.equal(words("- a\n"), "m.yaml:1:1: a manifest is an object with apiVersion, kind and metadata");
  t.equal(words("apiVersion: v1\n"), "m.yaml:1:1: kind is missing");
  t.equal(words("apiVersion: v2\nkind: Service\n"), "m.yaml:2:7: v2 Service is not a kind that weir handles");
  t.equal(words("apiVersion: v1\nkind: Service\nmetadata: {}\n"), "m.yaml:3:11: metadata.name: is missing");
});

test("manifests: what has a generateName alone is not sent, and it says why", async (t) => {
  const run = "apiVersion: argoproj.io/v1alpha1\nkind: AnalysisRun\nmetadata:\n  generateName: smoke-\n";
  const message =
    "m.yaml:4:3: metadata.name: is missing (objects with a generateName alone are for kubectl create)";
  t.throws(() => parseManifests("m.yaml", run), { code: "WEIR_ERR_CLI_MANIFEST", message });
});

test("manifests: files, folders and standard input are read; a path that is not there is named", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "weir-manifests-"));
  t.teardown(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, "b.yaml"), SERVICE);
  await writeFile(
    join(folder, "a.json"),
    JSON.stringify({ apiVersion: "v1", kind: "Secret", metadata: { name: "s" } }),
  );
  await writeFile(join(folder, "notes.txt"), "no manifest");
  const kinds = async (path: string, stdin: NodeJS.ReadableStream = none): Promise<string[]> =>
    (await readManifests([path], stdin)).map(({ type }) => type.kind);
  t.strictSame(await kinds(folder), ["Secret", "Service"]);
  t.strictSame(await kinds("-", Readable.from([SERVICE])), ["Service"]);
  await t.rejects(readManifests([join(folder, "gone.yaml")], none), {
    message: /gone\.yaml:1:1: cannot be read/,
  });
  await t.rejects(readManifests([join(folder, "notes.txt")], Readable.from([])), {
    message: /a manifest is an object/,
  });
});

test("manifests: what grows beyond measure or is binary is refused in a few plain words", async (t) => {
  const grown = ["b", "c", "d"].map((key, index) => `${key}: [${`*${"abc"[index]}, `.repeat(20)}]`);
  const anchored = grown.map((line) => line.replace(/^(.): /, "$1: &$1 "));
  const bomb = `apiVersion: v1\nkind: ConfigMap\na: &a [x]\n${anchored.join("\n")}\n`;
  t.throws(() => parseManifests("m.yaml", bomb), {
    code: "WEIR_ERR_CLI_MANIFEST",
    message: /^m\.yaml:1:1: Excessive alias count/,
  });
  // The parser quotes a whole block header, C1 control characters as they are.
  const noise = "\u009b31m".repeat(2000);
  const refused = await t.rejects(async () => parseManifests("m.yaml", `--- |${noise}\n`), {
    code: "WEIR_ERR_CLI_MANIFEST",
  });
  const { message } = refused instanceof Error ? refused : new Error("nothing was thrown");
  t.ok(message.length < 300, `${message.length} characters`);
  t.notMatch(message, /\p{Cc}/u);
});

test("manifests: files in folders and standard input have the same bound as files", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "weir-manifests-"));
  t.teardown(() => rm(folder, { recursive: true }));
  const large = `# ${"x".repeat(17 * 1024 * 1024)}\n${SERVICE}`;
  await writeFile(join(folder, "large.yaml"), large);
  const words = { message: /larger than 16777216 bytes/ };
  await t.rejects(readManifests([folder], none), words);
  await t.rejects(readManifests([join(folder, "large.yaml")], none), words);
  await t.rejects(readManifests(["-"], Readable.from([large])), words);
});
