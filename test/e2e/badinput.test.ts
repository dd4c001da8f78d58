// Bad input on the command line and in manifests: a clear error that says what to do, an exit code, and a running release that does not
// notice.
import { access, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "tap";
import { RESOURCES } from "../../src/api/api.ts";
import { run, stateFolder } from "../support/up.ts";
import { pods, released, running, until, type Web, web } from "../support/web.ts";

const TIMEOUT_MS = 100_000;
const weir = (...args: readonly string[]) => run([process.execPath, "src/weir.js", ...args]);

test("bad input: a wrong manifest is refused with file, line, column and field, and the release runs on", {
  timeout: TIMEOUT_MS,
}, async (t) => {
  const { up, client } = await running(t);
  await released(t, up);
  const before = await pods(client);
  const ref = { namespace: "default", name: "web" };
  const generation = (await client.get(RESOURCES.rollout, ref))?.metadata.generation;
  const cases: readonly (readonly [string, string, RegExp])[] = [
    [
      "a syntax error",
      web().replace("kind: Rollout", "kind: [Rollout"),
      /standard input:\d+:\d+: is not YAML: /,
    ],
    [
      "an unknown strategy",
      web().replace("canary:", "rainbow:"),
      /:\d+:\d+: spec\.strategy\.rainbow: is not a field/,
    ],
    [
      "a weight of 101",
      web().replace("setWeight: 50", "setWeight: 101"),
      /steps\[0\]\.setWeight: .*between 0 and 100/,
    ],
    [
      "a field not carried out yet",
      web({ canary: "trafficRouting: { traefik: { weightedTraefikServiceName: web } }" }),
      /trafficRouting\.traefik: .*does not carry out .* yet/,
    ],
    [
      "a kind that weir does not handle",
      "apiVersion: v1\nkind: Gadget\nmetadata: { name: x }\n",
      /is not a kind that weir handles/,
    ],
    ["no name", "apiVersion: v1\nkind: Service\nmetadata: {}\n", /metadata\.name: is missing/],
    ["nothing", "", /no manifest found/],
  ];
  for (const [name, manifest, words] of cases) {
    const { code, stdout, stderr } = await up.weir(["apply", "-f", "-"], manifest);
    t.equal(code, 1, name);
    t.match(stderr, words, name);
    t.equal(stdout, "", `${name}: nothing was applied`);
  }
  t.strictSame(await pods(client), before);
  t.equal((await client.get(RESOURCES.rollout, ref))?.metadata.generation, generation);
  t.match(await up.weir(["status", "web", "--no-watch"]), { code: 0, stdout: "Healthy\n" });
});

test("bad input: what only the server refuses is placed too, and what was not sent is counted", {
  timeout: TIMEOUT_MS,
}, async (t) => {
  const { up } = await running(t);
  const map = (name: string): string => `apiVersion: v1\nkind: ConfigMap\nmetadata: { name: ${name} }\n`;
  const service =
    "apiVersion: v1\nkind: Service\nmetadata: { name: s }\nspec: { ports: [{ port: 99999 }] }\n";
  const refused = await up.weir(["apply", "-f", "-"], [map("one"), service, map("two")].join("---\n"));
  t.match(refused, {
    code: 1,
    stdout: /^configmap\/one created\n$/,
    stderr:
      /standard input:8:25: .*spec\.ports\[0\]\.port: Invalid value: 99999.*\nnot applied either: 1 after it\n/,
  });
});

test("bad input: a version that cannot run says why, and the release serves on until a good one comes", {
  timeout: TIMEOUT_MS,
}, async (t) => {
  const { up, client } = await running(t);
  await released(t, up);
  const [[stable = "", stableState] = []] = await pods(client);
  const cases: readonly (readonly [string, Web, RegExp])[] = [
    [
      "a command that exits at once",
      { tag: "a", command: "['false']" },
      /CrashLoopBackOff: back-off .* restarting failed container=web/,
    ],
    [
      "a command that does not exist",
      { tag: "b", command: "['/no/such']" },
      /RunContainerError: exec: "\/no\/such": .*install it .*or correct the command/,
    ],
    [
      "an unknown image without a command",
      { image: "nginx:1" },
      /(ErrImagePull|ImagePullBackOff): .*no local command is known .*give container web a command, or map the image/,
    ],
  ];
  for (const [name, version, words] of cases) {
    t.match(await up.weir(["apply", "-f", "-"], web(version)), { code: 0 });
    const seen = await until(name, async () =>
      [...(await pods(client)).values()].find((state) => words.test(state)),
    );
    t.match(seen, words, name);
    t.equal((await pods(client)).get(stable), stableState, `${name}: the release runs on`);
  }
  t.match(
    (await up.weir(["get", "rollout", "web"])).stdout,
    /⚠ (ErrImagePull|ImagePullBackOff)/,
    "the tree shows it",
  );
  t.match(await up.weir(["apply", "-f", "-"], web({ tag: "green" })), { code: 0 });
  t.match(await up.weir(["status", "web", "--timeout", "30s"]), { code: 0 });
});

test("bad input: a Service that does not exist is named, and the rollout goes on by itself once it does", {
  timeout: TIMEOUT_MS,
}, async (t) => {
  const { up } = await running(t);
  const canary =
    "stableService: web\n      canaryService: web-canary\n      trafficRouting: { plugins: { weir.dev/proxy: {} } }";
  t.match(await up.weir(["apply", "-f", "-"], web({ canary })), { code: 0 });
  const status = await up.weir(["status", "web", "--timeout", "20s"]);
  t.match(status, { code: 1, stdout: /stableService: .*service "web" not found/ });
  const service = (name: string): string =>
    `apiVersion: v1\nkind: Service\nmetadata: { name: ${name} }\nspec: { selector: { app: web }, ports: [{ port: 80, targetPort: 8080 }] }\n`;
  t.match(await up.weir(["apply", "-f", "-"], `${service("web")}---\n${service("web-canary")}`), { code: 0 });
  await until("the rollout goes on", async () => {
    const { stdout } = await up.weir(["status", "web", "--no-watch"]);
    return /^(Progressing|Healthy)/.test(stdout) ? stdout : undefined;
  });
});

test("bad input: wrong words on the command line end with 2, files that cannot be read with 1", {
  timeout: TIMEOUT_MS,
}, async (t) => {
  const folder = await stateFolder(t);
  const file = async (name: string, text: string): Promise<string> => {
    await writeFile(join(folder, name), text);
    return join(folder, name);
  };
  const broken = await file("broken", "node: [\n");
  const empty = await file("empty.json", "{}");
  const cases: readonly (readonly [readonly string[], number, RegExp])[] = [
    [["frobnicate"], 2, /unknown command 'frobnicate'/],
    [["promote"], 2, /missing required argument 'rollout'/],
    [["apply", "--state", folder], 2, /say what to apply: `weir apply -f FILE`/],
    [["up", "--api-port", "many"], 2, /a port is a number from 0 to 65535/],
    [["up", "--bind", "nowhere"], 2, /an address is an IP address such as 127\.0\.0\.1/],
    [
      ["list", "rollouts", "--state", folder],
      2,
      /kubeconfig does not exist: start the server with `weir up --state/,
    ],
    [["list", "rollouts", "--kubeconfig", broken], 1, /broken is no YAML/],
    [["list", "rollouts", "--kubeconfig", folder], 1, /cannot read the kubeconfig/],
    [["list", "rollouts", "--kubeconfig", empty], 1, /no current-context/],
    [["proxy", "--config", broken], 1, /broken:\d+:\d+: the bootstrap is not YAML/],
    [["proxy", "--config", empty], 1, /empty\.json:1:1: /],
    [["proxy", "--config", join(folder, "gone")], 1, /the bootstrap .* cannot be read/],
    [
      ["up", "--state", join(folder, "s"), "--images", join(folder, "gone")],
      1,
      /cannot read the image map .*expected \{images:/,
    ],
    [["down", "--state", join(folder, "none")], 0, /^$/],
  ];
  for (const [args, code, words] of cases) {
    const result = await weir(...args);
    t.equal(result.code, code, `weir ${args.join(" ")}`);
    t.match(result.stderr, words, `weir ${args.join(" ")}`);
    t.notMatch(result.stderr, /^\s+at /m, "no stack trace");
  }
  await t.rejects(access(join(folder, "none")), "weir down makes no folder");
});
