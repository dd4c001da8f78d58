// A network namespace of the test's own, in which all of 10.244.0.0/16 is local: pods get addresses, traffic cannot leave.
// A relay inside it lets the test's own process reach addresses in there through a loopback port outside.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { readdir } from "node:fs/promises";
import { type AddressInfo, connect, createServer, type Server } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const RELAY = new URL("relay.ts", import.meta.url).pathname;
const PREFIX = "weir-test-";

export interface NetworkNamespace {
  readonly name: string;
  /** The command line that runs `argv` inside. */
  inside(argv: readonly string[]): readonly string[];
  /** A port on 127.0.0.1 outside that leads to `host:port` inside, until `remove`. */
  forward(host: string, port: number): Promise<number>;
  /** Ends the relay and the namespace. Processes inside must have ended. */
  remove(): Promise<void>;
}

/** Makes a namespace named after this process. `folder` holds the relay's socket. Needs root. */
export async function createNetworkNamespace(folder: string): Promise<NetworkNamespace> {
  await removeStale();
  const name = `${PREFIX}${process.pid}-${counter++}`;
  await run("ip", ["netns", "add", name]);
  const inside = (argv: readonly string[]): readonly string[] => ["ip", "netns", "exec", name, ...argv];
  await run("ip", ["-n", name, "link", "set", "lo", "up"]);
  await run("ip", ["-n", name, "route", "add", "local", "10.244.0.0/16", "dev", "lo"]);
  const socket = join(folder, "relay.sock");
  const relay = await startRelay(inside([process.execPath, RELAY, socket]));
  const servers: Server[] = [];
  return {
    name,
    inside,
    async forward(host, port) {
      const server = createServer((outer) => {
        const inner = connect(socket);
        inner.write(`${host} ${port}\n`); // queued before anything that comes from outside
        outer.setNoDelay(true);
        outer.pipe(inner).pipe(outer);
        outer.on("error", () => inner.destroy()).on("close", () => inner.destroy());
        inner.on("error", () => outer.destroy()).on("close", () => outer.destroy());
      });
      servers.push(server);
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve).unref());
      return (server.address() as AddressInfo).port; // a listening TCP server has an address with a port
    },
    async remove() {
      for (const server of servers) server.close();
      relay.kill("SIGKILL");
      await run("ip", ["netns", "del", name]).catch(() => undefined); // gone already: remove() may be called twice
    },
  };
}

let counter = 0;

async function startRelay(argv: readonly string[]): Promise<ChildProcess> {
  const [command = "", ...args] = argv;
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });
  child.unref();
  await new Promise<void>((resolve, reject) => {
    child.once("exit", (code) => reject(new Error(`the relay ended with ${code}`)));
    child.once("error", reject);
    child.stdout?.once("data", () => resolve());
  });
  return child;
}

/** Namespaces of test processes that were killed. */
async function removeStale(): Promise<void> {
  const names = await readdir("/run/netns").catch(() => []);
  for (const name of names) {
    const pid = new RegExp(`^${PREFIX}(\\d+)-`).exec(name)?.[1];
    if (pid === undefined || isAlive(Number(pid))) continue;
    await run("ip", ["netns", "del", name]).catch(() => undefined); // another test file was quicker
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
