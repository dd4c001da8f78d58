// A real Kubernetes control plane for tests: etcd and kube-apiserver, on request the controller manager and the scheduler, on free
// loopback ports or inside a network namespace. One per test file; stopped in order, also when the test fails or is killed.
// The binaries come from test/testbed/build; where they are missing the test is skipped with the reason (see require.ts).
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { openSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import type { Test } from "tap";
import { RESOURCES } from "../../src/api/api.ts";
import { type ClusterClient, type ClusterConnection, connectCluster } from "../../src/cluster/client.ts";
import { apiServerFlags, clientFlags, controllerFlags, etcdFlags } from "./controlplane.ts";
import { installCrds, readGatewayApiCrds, readOwnCrds } from "./crds.ts";
import { createNetworkNamespace, type NetworkNamespace } from "./netns.ts";
import { findTool, isExecutable, lacking, requireNetworkNamespaces } from "./require.ts";

export interface TestBedOptions {
  /** Also the controller manager: ReplicaSets make pods, owners are collected, EndpointSlices follow. Default false. */
  readonly hasControllers?: boolean;
  /** Also the scheduler. Default false. */
  readonly hasScheduler?: boolean;
  /** Everything in a network namespace in which 10.244.0.0/16 is local. Needs root. Default false. */
  readonly isInNamespace?: boolean;
  /** Installs weir's CRDs of deploy/crds. Default true. */
  readonly hasCrds?: boolean;
  /** Installs the Gateway API's CRDs. Default false. */
  readonly hasGatewayApi?: boolean;
  /** Further flags of kube-apiserver. */
  readonly apiServerFlags?: readonly string[];
}

export interface TestBed {
  /** Everything may be done with it. */
  readonly client: ClusterClient;
  /** Kubeconfig of the administrator, for this process and those it starts outside the namespace. */
  readonly kubeconfig: string;
  /** Kubeconfig of a user without any right. */
  readonly powerlessKubeconfig: string;
  /** Kubeconfig of the administrator for processes inside the namespace; the same as `kubeconfig` without one. */
  readonly innerKubeconfig: string;
  readonly netns: NetworkNamespace | undefined;
  readonly folder: string;
  /** Makes a namespace with a name of its own and returns the name. */
  namespace(prefix?: string): Promise<string>;
  /** Runs kubectl as the administrator; `input` is its stdin. Never rejects: look at `code`. */
  kubectl(args: readonly string[], input?: string): Promise<{ code: number; stdout: string; stderr: string }>;
  /** Ends the API server at once, as a crash does. */
  killApiServer(): Promise<void>;
  /** Starts it again on the same port and waits until it is ready. */
  startApiServer(): Promise<void>;
  /** Called by the test's teardown; idempotent. */
  stop(): Promise<void>;
}

const VERSION = "1.36.3";
const READY_TIMEOUT_MS = 60_000;
const BINARIES = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl"];

/** Starts a control plane that ends with the test; undefined after the test was told that the machine lacks what it needs. */
export async function startTestBed(t: Test, options: TestBedOptions = {}): Promise<TestBed | undefined> {
  const binaries = await requireBinaries(t);
  if (binaries === undefined) return undefined;
  if (options.isInNamespace === true && !(await requireNetworkNamespaces(t))) return undefined;
  const crds = options.hasCrds === false ? [] : await readOwnCrds();
  if (options.hasGatewayApi === true) {
    const read = await readGatewayApiCrds();
    if (typeof read === "string") return void lacking(t, read);
    crds.push(...read);
  }
  const folder = await mkdtemp(join(tmpdir(), "weir-testbed-"));
  const netns = options.isInNamespace === true ? await createNetworkNamespace(folder) : undefined;
  const bed = await createControlPlane({ binaries, folder, netns, options });
  t.teardown(() => bed.stop());
  try {
    await bed.start();
    await installCrds(bed.client, crds);
  } catch (error) {
    await bed.stop();
    throw error;
  }
  return bed;
}

interface Setting {
  readonly binaries: string;
  readonly folder: string;
  readonly netns: NetworkNamespace | undefined;
  readonly options: TestBedOptions;
}

async function createControlPlane(setting: Setting): Promise<TestBed & { start(): Promise<void> }> {
  const { binaries, folder, netns, options } = setting;
  const ports = await freePorts(5);
  const [etcdPort = 0, etcdPeerPort = 0, apiPort = 0, controllersPort = 0, schedulerPort = 0] = ports;
  const supervise = await createSupervisor(binaries, folder, netns);
  const tokens = { admin: randomBytes(16).toString("hex"), nobody: randomBytes(16).toString("hex") };
  await writeServerFiles(folder, tokens);
  const outerPort = netns === undefined ? apiPort : await netns.forward("127.0.0.1", apiPort);
  const kubeconfigs = kubeconfigWriter(folder, tokens);
  let connection: ClusterConnection | undefined;
  let isStopped = false;

  const startApiServer = async (): Promise<void> => {
    supervise.start("kube-apiserver", [
      ...apiServerFlags(folder, etcdPort, apiPort),
      ...(options.apiServerFlags ?? []),
    ]);
    await supervise.until("kube-apiserver", () => isReady(folder, tokens.admin, outerPort));
  };

  const clientOf = (): ClusterClient => {
    if (connection === undefined) throw new Error("the test bed is not started");
    return connection.client;
  };

  return {
    get client() {
      return clientOf();
    },
    kubeconfig: join(folder, "admin.kubeconfig"),
    powerlessKubeconfig: join(folder, "nobody.kubeconfig"),
    innerKubeconfig:
      netns === undefined ? join(folder, "admin.kubeconfig") : join(folder, "inner.kubeconfig"),
    netns,
    folder,
    async start() {
      supervise.start("etcd", etcdFlags(folder, etcdPort, etcdPeerPort));
      await startApiServer();
      await kubeconfigs.write("admin", "admin", outerPort);
      await kubeconfigs.write("nobody", "nobody", outerPort);
      await kubeconfigs.write("inner", "admin", apiPort);
      connection = await connectCluster({ kubeconfig: join(folder, "admin.kubeconfig"), env: {} });
      if (options.hasControllers === true)
        supervise.start("kube-controller-manager", controllerFlags(folder, controllersPort));
      if (options.hasScheduler === true)
        supervise.start("kube-scheduler", clientFlags(folder, schedulerPort, "scheduler"));
    },
    async namespace(prefix = "test") {
      const name = `${prefix}-${randomBytes(4).toString("hex")}`;
      await clientOf().create(RESOURCES.namespace, {
        apiVersion: "v1",
        kind: "Namespace",
        metadata: { name },
      });
      return name;
    },
    kubectl: (args, input) =>
      runKubectl(join(binaries, "kubectl"), join(folder, "admin.kubeconfig"), folder, args, input),
    killApiServer: () => supervise.stop("kube-apiserver", "SIGKILL"),
    startApiServer,
    async stop() {
      if (isStopped) return;
      isStopped = true;
      await connection?.close();
      for (const name of ["kube-scheduler", "kube-controller-manager", "kube-apiserver"])
        await supervise.stop(name, "SIGKILL"); // nothing of theirs is kept, and a graceful end takes seconds
      await supervise.stop("etcd", "SIGKILL"); // waited for: an ending etcd would remove files of the next one
      await netns?.remove();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

interface Supervisor {
  start(name: string, flags: readonly string[]): void;
  /** Waits until `probe` says true. Throws with the end of the program's log when it exits or takes too long. */
  until(name: string, probe: () => Promise<boolean>): Promise<void>;
  stop(name: string, signal: NodeJS.Signals): Promise<void>;
}

async function createSupervisor(
  binaries: string,
  folder: string,
  netns: NetworkNamespace | undefined,
): Promise<Supervisor> {
  const running = new Map<string, ChildProcess>();
  // Where the machine has setpriv, the programs end with this process even when it is killed.
  const setpriv = await findTool("setpriv");
  const guard = setpriv === undefined ? [] : [setpriv, "--pdeathsig", "KILL"];
  const logOf = (name: string): string => join(folder, `${name}.log`);
  return {
    start(name, flags) {
      const argv = [...guard, join(binaries, name), ...flags];
      const [command = "", ...args] = netns === undefined ? argv : netns.inside(argv);
      const log = openSync(logOf(name), "a");
      running.set(name, spawn(command, args, { stdio: ["ignore", log, log], cwd: folder }));
    },
    async until(name, probe) {
      const deadlineMs = Date.now() + READY_TIMEOUT_MS;
      while (!(await probe())) {
        const { exitCode = null } = running.get(name) ?? {};
        if (exitCode === null && Date.now() < deadlineMs) await wait(50);
        else {
          const tail = (await readFile(logOf(name), "utf8")).split("\n").slice(-15).join("\n");
          throw new Error(
            `${name} ${exitCode === null ? "is not ready" : `exited with ${exitCode}`}:\n${tail}`,
          );
        }
      }
    },
    async stop(name, signal) {
      const child = running.get(name);
      running.delete(name);
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
      const exited = new Promise((resolve) => child.once("exit", resolve));
      child.kill(signal);
      await exited;
    },
  };
}

async function writeServerFiles(folder: string, tokens: { admin: string; nobody: string }): Promise<void> {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  await mkdir(join(folder, "apiserver"));
  await writeFile(join(folder, "sa.key"), privateKey.export({ type: "pkcs1", format: "pem" }), {
    mode: 0o600,
  });
  await writeFile(
    join(folder, "tokens.csv"),
    `${tokens.admin},admin,admin,"system:masters"\n${tokens.nobody},nobody,nobody\n`,
    { mode: 0o600 },
  );
}

function kubeconfigWriter(
  folder: string,
  tokens: Readonly<Record<"admin" | "nobody", string>>,
): { write(file: string, user: "admin" | "nobody", port: number): Promise<void> } {
  return {
    async write(file, user, port) {
      const ca = await readFile(join(folder, "apiserver", "apiserver.crt"), "base64");
      const server = `https://127.0.0.1:${port}`;
      const config = {
        apiVersion: "v1",
        kind: "Config",
        "current-context": "testbed",
        contexts: [{ name: "testbed", context: { cluster: "testbed", user } }],
        clusters: [{ name: "testbed", cluster: { server, "certificate-authority-data": ca } }],
        users: [{ name: user, user: { token: tokens[user] } }],
      };
      await writeFile(join(folder, `${file}.kubeconfig`), JSON.stringify(config, null, 2), { mode: 0o600 });
    },
  };
}

async function isReady(folder: string, token: string, port: number): Promise<boolean> {
  try {
    const { request } = await import("node:https");
    const ca = await readFile(join(folder, "apiserver", "apiserver.crt"));
    return await new Promise((resolve, reject) => {
      const options = { host: "127.0.0.1", port, path: "/readyz", ca, agent: false, timeout: 5_000 };
      const asked = request({ ...options, headers: { authorization: `Bearer ${token}` } }, (response) => {
        response.resume();
        response.once("end", () => resolve(response.statusCode === 200));
      });
      asked.once("timeout", () => asked.destroy(new Error("no answer")));
      asked.once("error", reject).end();
    });
  } catch {
    return false; // not listening yet, or its certificate is not written yet
  }
}

/** The folder of etcd, kube-apiserver, kubectl and so on; undefined after the test was told that it is skipped (or failed). */
export async function requireBinaries(t: Test): Promise<string | undefined> {
  const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache");
  const folder = process.env.KUBEBUILDER_ASSETS ?? join(cache, "weir", `kubernetes-${VERSION}`);
  for (const name of BINARIES) {
    if (await isExecutable(join(folder, name))) continue;
    lacking(t, `no ${name} in ${folder}: run test/testbed/build (it needs Go and some minutes, once)`);
    return undefined;
  }
  return folder;
}

/** Ports that were free a moment ago. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve, reject) => {
          server.once("error", reject);
          server.listen(0, "127.0.0.1", () => {
            const address = server.address();
            resolve(typeof address === "object" && address !== null ? address.port : 0);
          });
        }),
    ),
  );
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

function runKubectl(
  kubectl: string,
  kubeconfig: string,
  folder: string,
  args: readonly string[],
  input?: string,
): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const env = { ...process.env, KUBECONFIG: kubeconfig, HOME: folder };
    const limits = { timeout: 60_000, maxBuffer: 64 * 1024 * 1024, env };
    const child = execFile(kubectl, [...args], limits, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : 1;
      resolve({ code, stdout, stderr });
    });
    child.stdin?.end(input ?? "");
  });
}
