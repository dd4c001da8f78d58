// The real kubectl against the server, over https with the kubeconfig that the server wrote.
import { execFile, spawn } from "node:child_process";
import { homedir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type Test, test } from "tap";
import { isExecutable, lacking } from "../support/require.ts";
import {
  type Any,
  type Api,
  PODS,
  ROLLOUTS,
  rollout,
  startServer,
  temporaryFolder,
} from "./server-support.ts";

/** Where test/testbed/build leaves its binaries. */
const BINARIES =
  process.env.KUBEBUILDER_ASSETS ??
  join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "weir", "kubernetes-1.36.3");
const COMMAND_MS = 30_000;

interface Result {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

interface Kubectl {
  readonly api: Api;
  run(args: string, stdin?: unknown): Promise<Result>;
  /** Lines of a command that goes on until it is stopped. */
  follow(args: string): { readonly lines: AsyncIterator<string>; stop(): void };
}

/** kubectl with a server of its own; undefined where there is no kubectl. */
async function start(t: Test): Promise<Kubectl | undefined> {
  const program = join(BINARIES, "kubectl");
  if (!(await isExecutable(program))) {
    lacking(t, `kubectl is not in ${BINARIES}: test/testbed/build makes it`);
    return undefined;
  }
  const dir = temporaryFolder(t);
  const { server, api } = await startServer(t, {
    logs: async function* ({ container, tailLines }) {
      for (const line of ["one", "two"].slice(-(tailLines ?? 2))) yield Buffer.from(`${container} ${line}\n`);
    },
  });
  const listener = await server.listen();
  const kubeconfig = join(dir, "kubeconfig");
  server.writeKubeconfig(kubeconfig, listener);
  const common = ["--kubeconfig", kubeconfig, "--cache-dir", join(dir, "cache")];
  return {
    api,
    run: (args, stdin) =>
      new Promise((resolve) => {
        const options = { timeout: COMMAND_MS };
        const child = execFile(program, [...common, ...words(args)], options, (error, out, err) =>
          resolve({ code: error === null ? 0 : Number(error.code ?? 1), out, err }),
        );
        child.stdin?.end(stdin === undefined ? "" : JSON.stringify(stdin));
      }),
    follow: (args) => {
      const child = spawn(program, [...common, ...words(args)], { stdio: ["ignore", "pipe", "ignore"] });
      return {
        lines: createInterface({ input: child.stdout })[Symbol.asyncIterator](),
        stop: () => void child.kill(),
      };
    },
  };
}

function words(args: string): string[] {
  return args.split(" ").map((word) => word.replaceAll("~", " "));
}

const tableOf = (text: string): string[][] =>
  text
    .trim()
    .split("\n")
    .map((line) => line.split(/\s{2,}/));
const service = (port: number): Any => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: "web" },
  spec: { selector: { app: "web" }, ports: [{ port, targetPort: 8080 }] },
});
const manyOf = (...items: Any[]): Any => ({ apiVersion: "v1", kind: "List", items });

test("server kubectl: apply creates, leaves alone and changes; get shows tables", async (t) => {
  const kubectl = await start(t);
  if (kubectl === undefined) return;
  const pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "p", labels: { app: "web" } } };
  const spec = (image: string): Any => ({
    containers: [{ name: "main", image, env: [{ name: "A", value: "1" }] }],
  });
  const first = manyOf(service(80), rollout("web"), { ...pod, spec: spec("app:1") });
  const created = await kubectl.run("apply -f -", first);
  t.match(created, {
    code: 0,
    out: /service\/web created\nrollout\.argoproj\.io\/web created\npod\/p created/,
  });
  const same = await kubectl.run("apply -f -", first);
  t.match(same.out, /service\/web unchanged\nrollout\.argoproj\.io\/web unchanged\npod\/p unchanged/);
  const second = manyOf(service(81), rollout("web", { replicas: 4 }), { ...pod, spec: spec("app:2") });
  const changed = await kubectl.run("apply -f -", second);
  t.match(changed.out, /service\/web configured\nrollout\.argoproj\.io\/web configured\npod\/p configured/);
  t.match((await kubectl.api.get(`${PODS}/p`)).body.spec.containers, [
    { image: "app:2", env: [{ name: "A" }] },
  ]);
  const rollouts = tableOf((await kubectl.run("get rollouts")).out);
  t.strictSame(rollouts[0], ["NAME", "DESIRED", "CURRENT", "UP-TO-DATE", "AVAILABLE", "AGE"]);
  t.match(rollouts[1], ["web", "4"]);
  const pods = tableOf((await kubectl.run("get pods -o wide")).out);
  t.strictSame(pods[0]?.slice(0, 7), ["NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP", "NODE"]);
  t.match(pods[1]?.slice(0, 4), ["p", "0/1", "Pending", "0"]);
  t.match((await kubectl.run("get ro,po,svc -A -l app=web")).out, /pod\/p/);
  t.match((await kubectl.run("get all")).out, /pod\/p[\s\S]*service\/web[\s\S]*rollout\.argoproj\.io\/web/);
});

test("server kubectl: patch, scale, label, annotate and edit of status change the object", async (t) => {
  const kubectl = await start(t);
  if (kubectl === undefined) return;
  await kubectl.run("create -f -", rollout("web"));
  t.match(await kubectl.run('patch ro web --type merge -p {"spec":{"replicas":3}}'), {
    code: 0,
    out: /patched/,
  });
  t.match(await kubectl.run("scale ro web --replicas 5"), { code: 0, out: /scaled/ });
  t.match(await kubectl.run("scale ro web --current-replicas 5 --replicas 6"), { code: 0, out: /scaled/ });
  t.match(await kubectl.run("label ro web a=b"), { code: 0, out: /labeled/ });
  t.match(await kubectl.run("annotate ro web c=d"), { code: 0, out: /annotated/ });
  const json = '[{"op":"add","path":"/spec/minReadySeconds","value":7}]';
  t.match(await kubectl.run(`patch ro web --type json -p ${json}`), { code: 0 });
  const { body } = await kubectl.api.get(`${ROLLOUTS}/web`);
  t.match(body, {
    metadata: { labels: { a: "b" }, annotations: { c: "d" }, generation: 5 },
    spec: { replicas: 6, minReadySeconds: 7 },
  });
  const strategic = await kubectl.run('patch ro web -p {"spec":{"replicas":1}}');
  t.equal(strategic.code, 1);
  t.match(strategic.err, /UnsupportedMediaType|strategic merge/);
});

test("server kubectl: describe shows the object with its events", async (t) => {
  const kubectl = await start(t);
  if (kubectl === undefined) return;
  await kubectl.run("create -f -", rollout("web"));
  const { body } = await kubectl.api.get(`${ROLLOUTS}/web`);
  const involved = { apiVersion: body.apiVersion, kind: "Rollout", name: "web", namespace: "default" };
  await kubectl.api.post("/api/v1/namespaces/default/events", {
    apiVersion: "v1",
    kind: "Event",
    metadata: { name: "web.1" },
    involvedObject: { ...involved, uid: body.metadata.uid },
    reason: "RolloutUpdated",
    message: "Rollout updated to revision 1",
    type: "Normal",
    source: { component: "rollouts-controller" },
  });
  const described = await kubectl.run("describe rollout web");
  t.match(described, {
    code: 0,
    out: /Kind:\s+Rollout[\s\S]*RolloutUpdated[\s\S]*Rollout updated to revision 1/,
  });
  t.match(await kubectl.run("get events"), {
    code: 0,
    out: /RolloutUpdated\s+rollout\/web\s+Rollout updated/,
  });
});

test("server kubectl: wait ends when the condition is met, delete when the object is gone", async (t) => {
  const kubectl = await start(t);
  if (kubectl === undefined) return;
  await kubectl.run("create -f -", rollout("web"));
  const waiting = kubectl.run("wait --for=condition=Healthy --timeout=20s ro/web");
  await kubectl.api.patch(`${ROLLOUTS}/web/status`, {
    status: { conditions: [{ type: "Healthy", status: "True" }] },
  });
  t.match(await waiting, { code: 0, out: /condition met/ });
  t.match(await kubectl.run("delete ro web"), { code: 0, out: /rollout\.argoproj\.io "web" deleted/ });
  t.match(await kubectl.run("get ro web"), {
    code: 1,
    err: /Error from server \(NotFound\): rollouts\.argoproj\.io "web" not found/,
  });
});

test("server kubectl: get -w prints each change as a row", async (t) => {
  const kubectl = await start(t);
  if (kubectl === undefined) return;
  await kubectl.run("create -f -", rollout("web"));
  const watch = kubectl.follow("get ro -w");
  t.teardown(() => watch.stop());
  const next = async (): Promise<string> => String((await watch.lines.next()).value);
  t.match(await next(), /^NAME\s+DESIRED/);
  t.match(await next(), /^web\s+1\s/);
  await kubectl.api.patch(`${ROLLOUTS}/web`, { spec: { replicas: 8 } });
  t.match(await next(), /^web\s+8\s/);
});

test("server kubectl: logs come from the container that is named", async (t) => {
  const kubectl = await start(t);
  if (kubectl === undefined) return;
  const containers = [{ name: "main", image: "app:1" }];
  await kubectl.run("create -f -", {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "p" },
    spec: { containers },
  });
  t.match(await kubectl.run("logs p"), { code: 0, out: "main one\nmain two\n" });
  t.match(await kubectl.run("logs p -c main --tail 1"), { code: 0, out: "main two\n" });
  t.match(await kubectl.run("logs p -c other"), { code: 1, err: /container other is not valid for pod p/ });
});

test("server kubectl: create makes what it has words for", async (t) => {
  const kubectl = await start(t);
  if (kubectl === undefined) return;
  t.match(await kubectl.run("create ns foo"), { code: 0, out: /namespace\/foo created/ });
  t.match(await kubectl.run("create configmap c -n foo --from-literal=a=b"), { code: 0 });
  t.match(await kubectl.run("get configmap c -n foo -o jsonpath={.data.a}"), { code: 0, out: /^b$/ });
  t.match(await kubectl.run("create secret generic s --from-literal=a=b"), { code: 0 });
  t.match(await kubectl.run("get secret s -o jsonpath={.data.a}"), { code: 0, out: /^Yg==$/ });
  t.match(await kubectl.run("create service clusterip x --tcp=80:8080"), { code: 0 });
  t.match(await kubectl.run("create deployment d --image=x"), {
    code: 1,
    err: /could not find the requested resource/,
  });
});

test("server kubectl: what is wrong or not served is told in words", async (t) => {
  const kubectl = await start(t);
  if (kubectl === undefined) return;
  const strict = await kubectl.run("create -f -", rollout("web", { speed: 1 }));
  t.match(strict, { code: 1, err: /strict decoding error: unknown field "spec\.speed"/ });
  const invalid = await kubectl.run("create -f -", rollout("web", { replicas: "many" }));
  t.match(invalid, { code: 1, err: /The Rollout "web" is invalid: spec\.replicas/ });
  t.match(await kubectl.run("apply --server-side -f -", service(80)), {
    code: 1,
    err: /server-side apply is not supported/,
  });
  t.match(await kubectl.run("auth can-i get pods"), { code: 0, out: /yes/ });
  t.match(await kubectl.run("version"), { code: 0, out: /Server Version: v1\.36\.0\+weir/ });
});
