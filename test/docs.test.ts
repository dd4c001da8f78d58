// The documents agree with the code and with each other: generated pages are fresh, the README names every field that is refused, tables leave
// nothing out, every npm script that the README names exists, and every link leads somewhere.
import { existsSync } from "node:fs";
import { glob, readdir, readFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { test } from "tap";
import { parseAllDocuments } from "yaml";
import { referencePages } from "../scripts/docs.ts";
import { isObject } from "../src/lib/json.ts";

async function documents(): Promise<string[]> {
  const files = await Array.fromAsync(glob(["*.md", "{docs,deploy,src,proto,bench}/**/*.md"]));
  return files.sort();
}

test("docs: the reference pages are what the code says (npm run generate)", async (t) => {
  for (const [name, text] of await referencePages(".")) {
    t.equal(await readFile(join("docs/reference", name), "utf8"), text, name);
  }
});

test("docs: the README names every field that weir refuses", async (t) => {
  const source = await readFile("src/api/notyet.ts", "utf8");
  const lists = [...source.matchAll(/^const [A-Z_]+ = \[([^\]]*)\] as const;$/gms)];
  const fields = lists.flatMap(([, list = ""]) =>
    [...list.matchAll(/"(\w+)"/g)].map(([, field]) => field ?? ""),
  );
  t.ok(fields.length > 10, `${fields.length} fields were found`);
  const readme = await readFile("README.md", "utf8");
  const refused = readme
    .split("\n")
    .filter((line) => line.startsWith("|"))
    .map((line) => line.split("|")[3] ?? "")
    .join("\n");
  t.strictSame(
    fields.filter((field) => !refused.includes(`\`${field}\``)),
    [],
  );
});

test("docs: npm scripts that the README names exist", async (t) => {
  const { scripts } = JSON.parse(await readFile("package.json", "utf8")) as { scripts: object }; // npm would not run without
  const readme = await readFile("README.md", "utf8");
  const table = /\| npm script \|[\s\S]*?\n\n/.exec(readme)?.[0] ?? "";
  const rows = table.split("\n").slice(2);
  const named = rows.flatMap((row) =>
    [...row.matchAll(/`([a-z]+(?::[a-z]+)?)`/g)].map(([, name]) => name ?? ""),
  );
  t.ok(named.length > 10, `${named.length} scripts were found`);
  t.strictSame(
    named.filter((name) => !Object.hasOwn(scripts, name)),
    [],
  );
});

test("docs: what there is of each kind stands in the table about it", async (t) => {
  const page = (file: string): Promise<string> => readFile(file, "utf8");
  const rooms = (await readdir("src", { withFileTypes: true })).filter((entry) => entry.isDirectory());
  const rights = parseAllDocuments(await page("deploy/kubernetes/rbac.yaml")).flatMap((document) => {
    const { kind, rules }: { kind?: unknown; rules?: unknown } = document.toJS();
    return kind === "ClusterRole" && Array.isArray(rules) ? rules.flatMap(resourcesOf) : [];
  });
  const benches = await Array.fromAsync(glob("bench/micro/*.ts"));
  const pages = (await Array.fromAsync(glob("docs/{guides,reference}/*.md"))).map((file) => file.slice(5));
  const decisions = await Array.fromAsync(glob("docs/adr/0*.md"));
  const tables: Readonly<Record<string, readonly string[]>> = {
    "README.md": rooms.map(({ name }) => `| \`${name}\` |`),
    "docs/adr/README.md": decisions.map((file) => `](${basename(file)}) |`),
    "docs/README.md": pages.map((file) => `| [${file}](${file}) |`),
    "docs/guides/kubernetes.md": rights.map((resource) => `\`${resource}\``),
    "bench/README.md": benches.map((file) => `| \`node ${file}\` |`),
  };
  for (const [file, entries] of Object.entries(tables)) {
    const text = await page(file);
    t.ok(entries.length > 3, `${file}: ${entries.length} entries`);
    t.strictSame(
      entries.filter((entry) => !text.includes(entry)),
      [],
      file,
    );
  }
});

/** The resources of one rule of a role. */
function resourcesOf(rule: unknown): readonly string[] {
  return isObject(rule) && Array.isArray(rule.resources) ? rule.resources.map(String) : [];
}

test("docs: every link to a file or heading leads somewhere", async (t) => {
  const broken: string[] = [];
  for (const file of await documents()) {
    const text = await readFile(file, "utf8");
    for (const [, target = ""] of text.replace(/^```[\s\S]*?^```/gm, "").matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      const [path = "", heading] = target.split("#");
      const full = path === "" ? file : join(dirname(file), path);
      if (!existsSync(full)) broken.push(`${file}: ${target}`);
      else if (heading !== undefined && !headings(await readFile(full, "utf8")).includes(heading))
        broken.push(`${file}: ${target} names no heading`);
    }
  }
  t.strictSame(broken, []);
});

test("docs: the map of src/proxy/ names files that are there, and every file that is a phase", async (t) => {
  const map = await readFile("src/proxy/README.md", "utf8");
  const files = await Array.fromAsync(glob("src/proxy/**/*.ts"));
  const there = new Set(files.map((file) => basename(file)));
  const named = new Set([...map.matchAll(/\b([a-z0-9]+\.ts)\b/g)].map(([, name = ""]) => name));
  t.ok(named.size > 60, `${named.size} files are named`);
  t.strictSame(
    [...named].filter((name) => !there.has(name)),
    [],
    "they are all there",
  );
  const phases: string[] = [];
  for (const file of files)
    if (/^\/\/ (?:\[hot\] )?Phase "/.test(await readFile(file, "utf8"))) phases.push(basename(file));
  t.ok(phases.length > 10, `${phases.length} files are phases`);
  t.strictSame(
    phases.filter((name) => !named.has(name)),
    [],
    "each of them is in the map",
  );
});

/** The anchors of a document's headings, as GitHub makes them. */
function headings(markdown: string): string[] {
  return [...markdown.matchAll(/^#+ (.*)$/gm)].map(([, title = ""]) =>
    title
      .toLowerCase()
      .replace(/[^\w\- ]/g, "")
      .replaceAll(" ", "-"),
  );
}
