// Ports of one container: which actual port stands for a declared one, and whether the process listens where it was told to.
import { type Clock, sleep } from "../../lib/clock.ts";
import { isListening, LOOPBACK, type PodNetwork } from "./network.ts";
import type { Container } from "./podspec.ts";

/** The actual port of a declared number or name; undefined for a name that the container does not declare. */
export function actualPort(
  container: Container,
  network: PodNetwork,
  port: number | string,
): number | undefined {
  const declared =
    typeof port === "number"
      ? port
      : (container.ports ?? []).find(({ name }) => name === port)?.containerPort;
  return declared === undefined ? undefined : (network.ports[String(declared)] ?? declared);
}

/**
 * After `delayMs`, words about each declared port on which somebody else listens while the container does not listen on the one
 * that it was given: it ignores PORT. Empty in a network namespace, where ports are as declared.
 */
export async function portsNotHonoured(
  clock: Clock,
  container: Container,
  network: PodNetwork,
  delayMs: number,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const declared = network.podIp === LOOPBACK ? (container.ports ?? []) : [];
  if (declared.length === 0) return [];
  await sleep(clock, delayMs, signal);
  const words: string[] = [];
  for (const { containerPort } of declared) {
    const actual = network.ports[String(containerPort)] ?? containerPort;
    if (signal.aborted || actual === containerPort || (await isListening(LOOPBACK, actual))) continue;
    if (signal.aborted || !(await isListening(LOOPBACK, containerPort))) continue;
    words.push(
      `container ${container.name} does not listen on ${actual}, and its declared port ${containerPort} is taken on this machine: ` +
        `pods share ${LOOPBACK} here, so let it listen on the port in the environment variable PORT`,
    );
  }
  return words;
}
