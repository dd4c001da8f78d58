// The reference pages that code knows best, as Markdown: commands with their flags, error codes, weir's own names. What
// `scripts/generate.ts` writes to docs/reference. A code or name without a doc comment is an error: nobody could look it up.
import { glob, readFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import type { Command, Option } from "commander";
import type { PodRule } from "../src/api/podrule.ts";
import { CONTAINER_RULES, POD_RULES } from "../src/api/validatepod.ts";
import type { Cli } from "../src/cli/cli.ts";
import { createProgram } from "../src/cli/main.ts";

const HEADER = "<!-- Generated from the code by `npm run generate`. Do not edit. -->";

const LABELS = "src/api/labels.ts";

/** A constant of the code and what its doc comment says. */
interface Documented {
  readonly name: string;
  readonly value: string;
  readonly meaning: string;
  readonly file: string;
}

/** File name to text. */
export async function referencePages(root: string): Promise<ReadonlyMap<string, string>> {
  return new Map([
    ["commands.md", await commandsPage()],
    ["errors.md", await errorsPage(root)],
    ["names.md", await namesPage(root)],
    ["validation.md", validationPage()],
  ]);
}

async function commandsPage(): Promise<string> {
  // What defaults depend on is shown by name: the page is the same on every machine.
  const cli: Cli = {
    out: () => undefined,
    err: () => undefined,
    write: () => undefined,
    exitWith: () => undefined,
    env: { HOME: "~" },
    signal: new AbortController().signal,
  };
  const program = await createProgram(cli);
  // `weir explain` has these flags and no others.
  const cluster = program.commands.find((command) => command.name() === "explain")?.options ?? [];
  const parts = [
    HEADER,
    "# Commands",
    "In the checkout a command is `npm run -s weir -- COMMAND`; installed, `weir COMMAND`. Exit codes: 0 done, 1 failed, 2 wrong usage, 130 broken off by Ctrl-C; what runs until then (`up`, `controller`, `agent`, `proxy`, `get --watch`) ends with 0.",
    "## Flags that lead to a cluster",
    "Without them: `$KUBECONFIG`, then `~/.kube/config`. `--state` and `--kubeconfig` exclude each other.",
    flagTable(cluster),
    ...program.commands.flatMap((command) => commandParts(command, cluster)),
  ];
  return `${parts.join("\n\n").trim()}\n`;
}

function commandParts(command: Command, cluster: readonly Option[]): string[] {
  const isCluster = (option: Option): boolean =>
    cluster.some(({ flags, description }) => flags === option.flags && description === option.description);
  const own = command.options.filter((option) => !isCluster(option));
  const takesCluster = cluster.every((flag) => command.options.some(({ flags }) => flags === flag.flags));
  return [
    `## weir ${command.name()}`,
    `\`weir ${command.name()} ${usageOf(command)}\`: ${command.description()}.`,
    ...(own.length === 0 ? [] : [flagTable(own)]),
    ...(takesCluster ? ["And the [flags that lead to a cluster](#flags-that-lead-to-a-cluster)."] : []),
  ];
}

/** An argument that takes a few words only is shown as these. */
function usageOf(command: Command): string {
  return command.registeredArguments.reduce(
    (usage, argument) => usage.replace(`<${argument.name()}>`, argument.argChoices?.join("|") ?? "$&"),
    command.usage(),
  );
}

function flagTable(options: readonly Option[]): string {
  const rows = options.map((option) => [`\`${option.flags}\``, option.description, defaultOf(option)]);
  return table(["Flag", "Meaning", "Default"], rows);
}

function defaultOf({ defaultValue, mandatory, negate }: Option): string {
  if (mandatory) return "required";
  if (negate || defaultValue === undefined || typeof defaultValue === "boolean") return "";
  return defaultValue === hostname() ? "the host's name" : `\`${defaultValue}\``;
}

async function errorsPage(root: string): Promise<string> {
  const codes = await documentedIn(root, /(\w+)(?::| =) "(WEIR_ERR_[A-Z_]+)"/);
  codes.sort((a, b) => (a.value < b.value ? -1 : 1));
  const rows = codes.map(({ value, meaning }) => {
    const what = meaning.replace(/^Code of (?:the error of )?/, "");
    return [`\`${value}\``, `${what.charAt(0).toUpperCase()}${what.slice(1)}`];
  });
  return [
    HEADER,
    "# Error codes",
    "What weir throws on purpose carries one of these codes, which names the room of `src/` that threw; the message says what failed, on what, and what to do.",
    `${table(["Code", "Meaning"], rows)}\n`,
  ].join("\n\n");
}

async function namesPage(root: string): Promise<string> {
  const all = await documentedIn(root, /(\w+) = "(weir\.dev\/[\w-]+)"/);
  // A room that may not import api/ says some of them again.
  const first = all.filter(({ file }) => file === LABELS);
  const others = all.filter(
    ({ name, file }) => file !== LABELS && !first.some((known) => known.name === name),
  );
  const rows = [...first, ...others]
    .sort((a, b) => (a.value < b.value ? -1 : 1))
    .map(({ value, meaning }) => [`\`${value}\``, meaning]);
  return [
    HEADER,
    "# Names of weir's own",
    "Where the standards leave room weir's names begin with `weir.dev/`. On objects they are annotations where it does not say label. All other labels, annotations, reasons and phases are Argo's or Kubernetes'.",
    `${table(["Name", "Where and what"], rows)}\n`,
  ].join("\n\n");
}

function validationPage(): string {
  const rows = <Subject>(rules: readonly PodRule<Subject>[]): string =>
    table(
      ["Rule", "What holds"],
      rules.map(({ name, says }) => [name, says]),
    );
  return [
    HEADER,
    "# Validation",
    "`weir lint -f FILES` checks manifests without a server and prints file, line and column; `weir apply` checks them before it sends anything; the controller holds Rollouts to the same rules and says `InvalidSpec` with the first that is broken. The words are Argo's and Kubernetes'.",
    "Lint says more than the controller: a field that no schema knows, or a value of the wrong type, is an error there, while the controller reads over it as Argo does (a quantity that is none, ephemeral containers that do not decode). Services, analysis templates and Ingresses that a Rollout names are looked up among the files; those that the files do not hold are notes, for they may be in the cluster. The pod template of a workload that the files hold keeps the rules at `spec.workloadRef`. A condition of a metric that does not compile is an error, or a note where a `dryRun` rule covers the metric; one with an argument is left to the run. HTTPRoutes and TrafficPolicies are held against what the proxies carry out.",
    "Beyond Argo's rules, what could only fail later is refused from the beginning: a number of pods below 0 (`previewReplicaCount`, `replicas` of an experiment's template), an argument that no template declares and a rule about metrics that matches none, in background analyses and experiments too. Delays and `autoPromotionSeconds` below 0 do work, as times that are over; lint notes them.",
    "## Pod templates",
    "Of Kubernetes' rules these hold without a cluster, in this order.",
    rows(POD_RULES),
    "## Each container",
    rows(CONTAINER_RULES),
    "Left to the API server: projected, downward and CSI volumes, volume devices, `dnsConfig`, `hostAliases`, node affinity, sysctls, overhead, resize policies.\n",
  ].join("\n\n");
}

async function documentedIn(root: string, pattern: RegExp): Promise<Documented[]> {
  const files = (await Array.fromAsync(glob("src/**/*.ts", { cwd: root })))
    .filter((file) => !file.includes("/gen/"))
    .sort();
  return (await Promise.all(files.map((file) => documented(root, file, pattern)))).flat();
}

/** The constants of a file that match (groups: name, value), with the doc comment above each; throws for one that has none. */
async function documented(root: string, file: string, pattern: RegExp): Promise<Documented[]> {
  const lines = (await readFile(join(root, file), "utf8")).split("\n");
  const found: Documented[] = [];
  lines.forEach((line, index) => {
    const [, name, value] = /^\s*(?:\/\/|\/?\*)/.test(line) ? [] : (pattern.exec(line) ?? []);
    if (name === undefined || value === undefined) return;
    const meaning = /^\s*\/\*\* (.*) \*\/$/.exec(lines[index - 1] ?? "")?.[1];
    if (meaning === undefined)
      throw new Error(`${file}:${index + 1}: ${value} has no doc comment of one line above it`);
    found.push({ name, value, meaning, file });
  });
  return found;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(head), `|${"---|".repeat(head.length)}`, ...rows.map(line)].join("\n");
}
