// Addresses and ports of pods. On loopback all pods share 127.0.0.1 and each declared port gets a free actual one, told to the process
// as PORT; in a network namespace (in which the agent itself must run) each pod has an address of its own and ports are as declared.
import { connect, createServer, isIPv4 } from "node:net";
import { WeirError } from "../../lib/errors.ts";
import type { Container } from "./podspec.ts";

export type AgentNetwork =
  | { readonly kind: "loopback" }
  /** The agent runs inside a namespace where every address of `cidr` is local. Agents that share one need ranges of their own. */
  | { readonly kind: "netns"; readonly cidr: string };

export interface PodNetwork {
  readonly podIp: string;
  /** Actual port by declared container port. */
  readonly ports: Readonly<Record<string, number>>;
}

/** Code of an address or port range that is used up. */
export const NETWORK_EXHAUSTED = "WEIR_ERR_EMBEDDED_NETWORK_EXHAUSTED";
export const LOOPBACK = "127.0.0.1";
/** Ports for pods lie below the range from which systems take the ports of outgoing connections (32768 on Linux). */
const PORT_RANGE = { first: 20_000, last: 32_767 } as const;
const CONNECT_TIMEOUT_MS = 1_000;

/** Chooses what a pod gets. `taken` are addresses and ports already given to other pods of this agent. */
export async function allocate(
  network: AgentNetwork,
  containers: readonly Container[],
  taken: { readonly ips: ReadonlySet<string>; readonly ports: ReadonlySet<number> },
  random: () => number,
): Promise<PodNetwork> {
  const declared = containers.flatMap(({ ports }) => ports ?? []).map(({ containerPort }) => containerPort);
  if (network.kind === "netns") {
    const podIp = freeAddress(network.cidr, taken.ips);
    return { podIp, ports: Object.fromEntries(declared.map((port) => [String(port), port])) };
  }
  const chosen = new Set(taken.ports);
  const ports: Record<string, number> = {};
  for (const port of new Set(declared)) {
    const actual = await freePort(chosen, random);
    chosen.add(actual);
    ports[String(port)] = actual;
  }
  return { podIp: LOOPBACK, ports };
}

/** Whether something accepts TCP connections there. */
export function isListening(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: CONNECT_TIMEOUT_MS });
    const done = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.once("connect", () => done(true));
    socket.once("timeout", () => done(false));
    socket.once("error", () => done(false));
  });
}

async function freePort(taken: ReadonlySet<number>, random: () => number): Promise<number> {
  const size = PORT_RANGE.last - PORT_RANGE.first + 1;
  const start = Math.floor(random() * size);
  for (let step = 0; step < size; step += 1) {
    const port = PORT_RANGE.first + ((start + step) % size);
    if (!taken.has(port) && (await canBind(port))) return port;
  }
  throw new WeirError({
    code: NETWORK_EXHAUSTED,
    message: `no free port for a pod in ${PORT_RANGE.first}-${PORT_RANGE.last}: end processes that hold them`,
  });
}

function canBind(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    // All addresses, for the process may listen on all of them.
    server.listen({ port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

function freeAddress(cidr: string, taken: ReadonlySet<string>): string {
  const [base = "", bits = ""] = cidr.split("/");
  const size = 2 ** (32 - Number(bits));
  if (!isIPv4(base) || !(size >= 4)) {
    throw new WeirError({
      code: NETWORK_EXHAUSTED,
      source: "user",
      message: `the pod range ${cidr} is no IPv4 range such as 10.244.0.0/16`,
    });
  }
  const first = base.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
  for (let offset = 2; offset < size - 1; offset += 1) {
    const address = first + offset;
    const text = [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join(".");
    if (!taken.has(text)) return text;
  }
  throw new WeirError({ code: NETWORK_EXHAUSTED, message: `no free address for a pod in ${cidr}` });
}
