// One container of a pod over all its attempts: start, probes, restart with back-off, stop. Holds its state as a kubelet reports it.
//
//   waiting --started--> running --exit--> terminated --restart policy--> waiting (CrashLoopBackOff) --> running ...
//
// Every attempt has a folder of its own (process.ts); its number is the restart count, so the count survives the agent.
import { randomUUID } from "node:crypto";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { backoffMs } from "../../lib/backoff.ts";
import { type Clock, sleep } from "../../lib/clock.ts";
import { messageOf } from "../../lib/errors.ts";
import type { Launch } from "./launch.ts";
import { keepLog } from "./logs.ts";
import { isListening, LOOPBACK, type PodNetwork } from "./network.ts";
import type { Container, ContainerState, ContainerStatus, Probe, TerminatedState } from "./podspec.ts";
import { attempt as attemptAction, type ProbeTarget, runProbe } from "./probe.ts";
import { type ContainerProcess, findProcess, type ProcessExit, startProcess } from "./process.ts";
import { timestamp } from "./status.ts";

export type ContainerRole = "init" | "sidecar" | "main";

export interface ContainerOptions {
  readonly clock: Clock;
  readonly container: Container;
  readonly role: ContainerRole;
  readonly podRestartPolicy: "Always" | "OnFailure" | "Never";
  /** `name_namespace(uid)`, as a kubelet names pods in messages. */
  readonly podLabel: string;
  readonly podUid: string;
  readonly dir: string;
  readonly network: PodNetwork;
  /** What is shown before the first start. */
  readonly initialReason: "ContainerCreating" | "PodInitializing";
  readonly graceMs: number;
  /** 1 as Kubernetes; less in tests. Multiplies every back-off. */
  readonly backoffScale: number;
  readonly prepare: () => Promise<Launch>;
  readonly record: (type: "Normal" | "Warning", reason: string, message: string) => void;
  /** The status changed. */
  readonly onChange: () => void;
}

export interface ContainerRunner {
  readonly name: string;
  readonly role: ContainerRole;
  /** Takes over what an earlier agent left. Once, before `start`. */
  recover(): Promise<void>;
  /** Whether an attempt was ever begun. */
  hasBegun(): boolean;
  /** Begins the loop; a second call does nothing. */
  start(): void;
  status(): ContainerStatus;
  /** Settles at the first start whose startup probe has passed, or when the container has finished. */
  readonly started: Promise<void>;
  /** Settles when the container has ended and will not be started again. */
  readonly finished: Promise<void>;
  /** preStop, SIGTERM, and SIGKILL when the time is over. Resolves when nothing runs any more. */
  stop(graceMs: number): Promise<void>;
  /** Leaves the process to the next agent. */
  release(): Promise<void>;
  /** Folder of the current attempt or the one before; undefined when there is none. */
  attemptDir(isPrevious: boolean): string | undefined;
  isRunning(): boolean;
}

/** Kubernetes' crash back-off: none before the first restart, then 10 s doubling to 5 min; forgotten after 10 min of running. */
const CRASH_BACKOFF = { baseMs: 10_000, maxMs: 300_000 } as const;
const CRASH_RESET_MS = 600_000;
/** Retry of a configuration that is incomplete, such as a missing ConfigMap. */
const CONFIG_RETRY_MS = 5_000;
/** What a container gets after a preStop hook that used up its time. */
const MIN_TERM_MS = 2_000;
/** Attempts whose folders (logs, exit codes) are kept. */
const KEPT_ATTEMPTS = 2;
/** When a container that serves a declared port should listen on the one it was given. */
const PORT_CHECK_MS = 5_000;

/** Makes the runner of one container. Nothing happens before `recover` and `start`. */
export function createContainer(options: ContainerOptions): ContainerRunner {
  const { clock, container, role, dir, record } = options;
  const { name } = container;
  const stopping = new AbortController();
  const firstStart = Promise.withResolvers<void>();
  const end = Promise.withResolvers<void>();
  let attempt = -1;
  let state: ContainerState = { waiting: { reason: options.initialReason } };
  let lastState: ContainerState = {};
  let isReady = false;
  let isStarted = false;
  let current: ContainerProcess | undefined;
  let recovered: ProcessExit | undefined;
  let recoveredStartMs = 0;
  let lastMessage: string | undefined;
  let loop: Promise<void> | undefined;
  let stopGraceMs = options.graceMs;
  const released = Promise.withResolvers<undefined>();
  let isReleased = false;
  let environment: Readonly<Record<string, string>> = {};
  let cwd = "/";

  const attemptFolder = (number: number): string => join(dir, String(number));
  const change = (next: ContainerState): void => {
    state = next;
    options.onChange();
  };
  const setProbed = (ready: boolean, started: boolean): void => {
    if (ready === isReady && started === isStarted) return;
    isReady = ready;
    isStarted = started;
    if (started) firstStart.resolve();
    options.onChange();
  };
  const terminatedBy = (exit: ProcessExit, startedAtMs: number): TerminatedState => ({
    exitCode: exit.exitCode,
    reason: exit.exitCode === 0 ? "Completed" : "Error",
    startedAt: timestamp(startedAtMs),
    finishedAt: timestamp(exit.finishedAtMs),
    containerID: containerId(options, attempt),
  });
  const mayRestart = (exitCode: number): boolean => {
    if (stopping.signal.aborted) return false;
    if (role === "sidecar") return true;
    if (role === "init") return exitCode !== 0 && options.podRestartPolicy !== "Never";
    return (
      options.podRestartPolicy === "Always" || (options.podRestartPolicy === "OnFailure" && exitCode !== 0)
    );
  };

  const recover = async (): Promise<void> => {
    const numbers = await attemptsIn(dir);
    attempt = numbers.at(-1) ?? -1;
    if (attempt < 0) return;
    const before = await findProcess(options, attemptFolder(attempt - 1));
    if (before.kind === "exited") lastState = { terminated: terminatedBy(before.exit, before.startedAtMs) };
    const found = await findProcess(options, attemptFolder(attempt));
    if (found.kind === "running") {
      current = found.process;
      const launch = await options.prepare();
      if (launch.kind === "ready") ({ env: environment, cwd } = launch);
      state = { running: { startedAt: timestamp(found.process.startedAtMs) } };
    } else if (found.kind === "exited") {
      recovered = found.exit;
      recoveredStartMs = found.startedAtMs;
      state = { terminated: terminatedBy(found.exit, found.startedAtMs) };
    } else attempt -= 1;
  };

  /** Tries until a process runs; undefined when the container is to stop first. */
  const launch = async (): Promise<ContainerProcess | undefined> => {
    for (let failures = 0; !stopping.signal.aborted; failures += 1) {
      const prepared = await options.prepare();
      if (prepared.kind === "ready") {
        const process = await tryStart(prepared, failures);
        if (process !== undefined) return process;
        continue;
      }
      await wait(prepared.reason, prepared.message, failures);
    }
    return undefined;
  };
  const tryStart = async (
    prepared: Extract<Launch, { kind: "ready" }>,
    failures: number,
  ): Promise<ContainerProcess | undefined> => {
    if (stopping.signal.aborted) return undefined;
    try {
      const folder = attemptFolder(attempt + 1);
      await rm(folder, { recursive: true, force: true });
      const process = await startProcess(options, { ...prepared, dir: folder, token: randomUUID() });
      attempt += 1;
      environment = prepared.env;
      cwd = prepared.cwd;
      record("Normal", "Started", `Started container ${name}`);
      return process;
    } catch (error) {
      await wait("RunContainerError", messageOf(error), failures);
      return undefined;
    }
  };
  const wait = async (reason: string, message: string, failures: number): Promise<void> => {
    change({ waiting: { reason, message } });
    if (message !== lastMessage) record("Warning", "Failed", `Error: ${message}`);
    lastMessage = message;
    const isConfig = reason === "CreateContainerConfigError";
    const delayMs = isConfig ? CONFIG_RETRY_MS : backoffMs(failures, CRASH_BACKOFF);
    if (reason === "ErrImagePull") {
      // As under a kubelet: the error first, then that it waits before the next try.
      const backOff = `Back-off pulling image ${JSON.stringify(container.image ?? "")}: ${message}`;
      await sleep(clock, Math.min(1_000, delayMs) * options.backoffScale, stopping.signal);
      if (!stopping.signal.aborted) change({ waiting: { reason: "ImagePullBackOff", message: backOff } });
    }
    await sleep(clock, delayMs * options.backoffScale, stopping.signal);
  };

  /** Watches over a running process until it ends; undefined when it is left to the next agent. */
  const supervise = async (process: ContainerProcess): Promise<ProcessExit | undefined> => {
    current = process;
    // The stop came while the process was being started.
    if (stopping.signal.aborted && !isReleased) void terminate(process, stopGraceMs);
    const probing = new AbortController();
    const stopLog = keepLog(clock, attemptFolder(attempt));
    lastMessage = undefined;
    change({ running: { startedAt: timestamp(process.startedAtMs) } });
    startProbes(process, probing.signal);
    void checkPorts(PORT_CHECK_MS, probing.signal);
    const exit = await Promise.race([process.exited, released.promise]);
    probing.abort();
    stopLog();
    if (exit === undefined) return undefined;
    current = undefined;
    isReady = false;
    isStarted = false;
    if (exit.exitCode !== 0 && !stopping.signal.aborted) void checkPorts(0, stopping.signal);
    return exit;
  };
  const startProbes = (process: ContainerProcess, signal: AbortSignal): void => {
    const { startupProbe, readinessProbe, livenessProbe } = container;
    const begin = (): void => {
      if (isStarted || signal.aborted) return;
      setProbed(readinessProbe === undefined, true);
      if (readinessProbe !== undefined) probe("Readiness", readinessProbe, process, signal);
      if (livenessProbe !== undefined) probe("Liveness", livenessProbe, process, signal);
    };
    if (startupProbe === undefined || role === "init") {
      begin();
      return;
    }
    const startup = new AbortController();
    signal.addEventListener("abort", () => startup.abort(), { once: true });
    probe("Startup", startupProbe, process, startup.signal, () => {
      startup.abort();
      begin();
    });
  };
  const probe = (
    kind: "Startup" | "Readiness" | "Liveness",
    definition: Probe,
    process: ContainerProcess,
    signal: AbortSignal,
    onStarted?: () => void,
  ): void => {
    const failed = (): void => {
      if (kind === "Readiness") {
        setProbed(false, isStarted);
        return;
      }
      record("Normal", "Killing", `Container ${name} failed ${kind.toLowerCase()} probe, will be restarted`);
      const seconds = definition.terminationGracePeriodSeconds;
      void terminate(process, seconds === undefined ? options.graceMs : seconds * 1000);
    };
    void runProbe({
      clock,
      probe: definition,
      target: probeTarget(),
      startedAtMs: process.startedAtMs,
      signal,
      onSuccess: () => (onStarted ?? (kind === "Readiness" ? () => setProbed(true, isStarted) : noop))(),
      onFailure: failed,
      onAttemptFailed: (message) => record("Warning", "Unhealthy", `${kind} probe failed: ${message}`),
    });
  };
  const probeTarget = (): ProbeTarget => ({
    podIp: options.network.podIp,
    portOf: (port) => actualPort(container, options.network, port),
    env: environment,
    cwd,
  });

  let terminating: Promise<void> | undefined;
  const terminate = (process: ContainerProcess, graceMs: number): Promise<void> => {
    terminating ??= terminateOnce(process, graceMs).finally(() => {
      terminating = undefined;
    });
    return terminating;
  };
  const terminateOnce = async (process: ContainerProcess, graceMs: number): Promise<void> => {
    const deadlineMs = clock.nowMs() + graceMs;
    const preStop = container.lifecycle?.preStop;
    if (preStop !== undefined && graceMs > 0) {
      const outcome = await runPreStop(preStop, process, graceMs);
      if (outcome !== undefined) record("Warning", "FailedPreStopHook", outcome);
    }
    if (graceMs > 0) await process.signal("SIGTERM");
    const restMs = Math.max(
      deadlineMs - clock.nowMs(),
      preStop === undefined || graceMs === 0 ? 0 : MIN_TERM_MS,
    );
    const waiting = new AbortController();
    await Promise.race([process.exited, sleep(clock, restMs, waiting.signal)]);
    waiting.abort();
    await process.kill();
    await process.exited;
  };
  const runPreStop = async (
    hook: NonNullable<NonNullable<Container["lifecycle"]>["preStop"]>,
    process: ContainerProcess,
    graceMs: number,
  ): Promise<string | undefined> => {
    const over = new AbortController();
    const hooked =
      hook.sleep === undefined
        ? attemptAction(hook, probeTarget(), graceMs)
        : sleep(clock, Math.min(hook.sleep.seconds * 1000, graceMs), over.signal);
    const outcome = await Promise.race([hooked, process.exited]);
    over.abort();
    return outcome !== undefined && "ok" in outcome && !outcome.ok
      ? `PreStopHook failed: ${outcome.message}`
      : undefined;
  };

  const checkPorts = async (delayMs: number, signal: AbortSignal): Promise<void> => {
    if (options.network.podIp !== LOOPBACK || (container.ports ?? []).length === 0) return;
    await sleep(clock, delayMs, signal);
    for (const { containerPort } of container.ports ?? []) {
      const actual = options.network.ports[String(containerPort)] ?? containerPort;
      if (signal.aborted || actual === containerPort || (await isListening(LOOPBACK, actual))) continue;
      if (signal.aborted || !(await isListening(LOOPBACK, containerPort))) continue;
      record(
        "Warning",
        "PortNotHonoured",
        `container ${name} does not listen on ${actual}, and its declared port ${containerPort} is taken on this machine: ` +
          `pods share ${LOOPBACK} here, so let it listen on the port in the environment variable PORT`,
      );
    }
  };

  const run = async (): Promise<void> => {
    let crashes = 0;
    let exit = recovered;
    let startedAtMs = recoveredStartMs;
    for (;;) {
      if (exit === undefined) {
        const process = current ?? (await launch());
        if (process === undefined) break;
        startedAtMs = process.startedAtMs;
        exit = await supervise(process);
        if (exit === undefined) return;
      }
      const terminated = terminatedBy(exit, startedAtMs);
      change({ terminated });
      if (!mayRestart(exit.exitCode)) break;
      lastState = { terminated };
      if (exit.finishedAtMs - startedAtMs > CRASH_RESET_MS) crashes = 0;
      await pause(crashes, exit.finishedAtMs);
      if (stopping.signal.aborted) {
        change({ terminated });
        break;
      }
      crashes += 1;
      exit = undefined;
      await forget(dir, attempt + 2 - KEPT_ATTEMPTS);
    }
    firstStart.resolve();
    end.resolve();
  };
  const pause = async (crashes: number, finishedAtMs: number): Promise<void> => {
    if (crashes === 0) return;
    const backOffMs = backoffMs(crashes - 1, CRASH_BACKOFF);
    const restMs = finishedAtMs + backOffMs * options.backoffScale - clock.nowMs();
    if (restMs <= 0) return;
    const message = `back-off ${backOffText(backOffMs)} restarting failed container=${name} pod=${options.podLabel}`;
    change({ waiting: { reason: "CrashLoopBackOff", message } });
    record("Warning", "BackOff", `Back-off restarting failed container ${name} in pod ${options.podLabel}`);
    await sleep(clock, restMs, stopping.signal);
  };

  return {
    name,
    role,
    recover,
    hasBegun: () => attempt >= 0,
    start() {
      loop ??= run();
    },
    status: () => ({
      name,
      image: container.image ?? "",
      imageID: state.waiting === undefined ? (container.image ?? "") : "",
      ...(attempt >= 0 ? { containerID: containerId(options, attempt) } : {}),
      state,
      lastState,
      ready: role === "init" ? state.terminated?.exitCode === 0 : isReady,
      started: isStarted,
      restartCount: Math.max(attempt, 0),
    }),
    started: firstStart.promise,
    finished: end.promise,
    async stop(graceMs) {
      if (isReleased) return;
      stopGraceMs = graceMs;
      stopping.abort();
      if (current !== undefined) {
        if (graceMs === 0) await current.kill();
        record("Normal", "Killing", `Stopping container ${name}`);
        // The loop reports the exit; without a loop (a pod found deleted at start) there is nobody to report to.
        loop ??= run();
        await terminate(current, graceMs);
      }
      await loop;
    },
    async release() {
      isReleased = true;
      stopping.abort();
      released.resolve(undefined);
      current?.release();
      await loop;
    },
    attemptDir(isPrevious) {
      const number = attempt - (isPrevious ? 1 : 0);
      return number < 0 ? undefined : attemptFolder(number);
    },
    isRunning: () => current !== undefined,
  };
}

function noop(): void {
  // A liveness success changes nothing.
}

function containerId(options: ContainerOptions, attempt: number): string {
  return `weir://${options.podUid}/${options.container.name}/${attempt}`;
}

function backOffText(backOffMs: number): string {
  const minutes = Math.floor(backOffMs / 60_000);
  const seconds = Math.round((backOffMs % 60_000) / 1000);
  return minutes > 0 ? `${minutes}m${seconds}s` : `${seconds}s`;
}

function actualPort(container: Container, network: PodNetwork, port: number | string): number | undefined {
  const declared =
    typeof port === "number"
      ? port
      : (container.ports ?? []).find(({ name }) => name === port)?.containerPort;
  return declared === undefined ? undefined : (network.ports[String(declared)] ?? declared);
}

async function attemptsIn(dir: string): Promise<readonly number[]> {
  try {
    const names = await readdir(dir);
    return names
      .map(Number)
      .filter(Number.isInteger)
      .sort((a, b) => a - b);
  } catch {
    // Nothing was started yet.
    return [];
  }
}

async function forget(dir: string, below: number): Promise<void> {
  for (const number of await attemptsIn(dir))
    if (number < below) await rm(join(dir, String(number)), { recursive: true, force: true });
}
