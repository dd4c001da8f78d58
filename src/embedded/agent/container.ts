// One container of a pod over all its attempts: start, probes, restart with back-off, stop. Holds its state as a kubelet reports it.
//
//   waiting --started, postStart--> running --exit--> terminated --restart policy--> waiting (CrashLoopBackOff) --> running ...
//
// Every attempt has a folder of its own (process.ts); its number is the restart count, so the count survives the agent.
import { randomUUID } from "node:crypto";
import { access, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { backoffMs } from "../../lib/backoff.ts";
import { type Clock, sleep } from "../../lib/clock.ts";
import { messageOf } from "../../lib/errors.ts";
import { formatTime } from "../../lib/time.ts";
import { attemptFolder, findAttempts, forgetAttempts } from "./attempts.ts";
import { watchHealth } from "./health.ts";
import { runHook } from "./hook.ts";
import type { Launch } from "./launch.ts";
import { keepLog } from "./logs.ts";
import type { PodNetwork } from "./network.ts";
import type { Container, ContainerState, ContainerStatus, Probe, TerminatedState } from "./podspec.ts";
import { actualPort, portsNotHonoured } from "./ports.ts";
import type { ProbeTarget } from "./probe.ts";
import { type ContainerProcess, type ProcessExit, startProcess } from "./process.ts";
import { enterSandbox, type Sandbox } from "./sandbox.ts";
import { terminateProcess } from "./terminate.ts";

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
  /** What the API said of the container when this agent took charge of it. */
  readonly earlier?: ContainerStatus;
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
/** How long ErrImagePull is shown before it becomes ImagePullBackOff. */
const PULL_ERROR_MS = 1_000;
/** Attempts whose folders (logs, exit codes) are kept. */
const KEPT_ATTEMPTS = 2;
/** Longest run of a postStart hook. Kubernetes sets none. */
const POST_START_MS = 300_000;
/** When a container that serves a declared port should listen on the one it was given. */
const PORT_CHECK_MS = 5_000;

/** Makes the runner of one container. Nothing happens before `recover` and `start`. */
export function createContainer(options: ContainerOptions): ContainerRunner {
  return new ContainerLoop(options);
}

/** How an attempt ended, and when it had begun. */
interface Ended {
  readonly exit: ProcessExit;
  readonly startedAtMs: number;
}

class ContainerLoop implements ContainerRunner {
  readonly name: string;
  readonly role: ContainerRole;
  readonly #options: ContainerOptions;
  readonly #stopping = new AbortController();
  readonly #released = Promise.withResolvers<undefined>();
  readonly #started = Promise.withResolvers<void>();
  readonly #finished = Promise.withResolvers<void>();
  #attempt = -1;
  #state: ContainerState;
  #lastState: ContainerState = {};
  #isReady = false;
  #isStarted = false;
  #isReleased = false;
  #process: ContainerProcess | undefined;
  #recovered: Ended | undefined;
  #lastMessage: string | undefined;
  #loop: Promise<void> | undefined;
  #terminating: Promise<void> | undefined;
  #stopGraceMs: number;
  #env: Readonly<Record<string, string>> = {};
  #cwd = "/";
  #sandbox: Sandbox | undefined;
  /** What was told about things that the process does not get; it is told anew when it changes. */
  #notes = "";

  constructor(options: ContainerOptions) {
    this.#options = options;
    this.name = options.container.name;
    this.role = options.role;
    this.#state = { waiting: { reason: options.initialReason } };
    this.#stopGraceMs = options.graceMs;
  }

  get started(): Promise<void> {
    return this.#started.promise;
  }

  get finished(): Promise<void> {
    return this.#finished.promise;
  }

  async recover(): Promise<void> {
    const { number, newest, before } = await findAttempts(this.#options, this.#options.dir);
    this.#attempt = number;
    const beforeNumber = newest.kind === "never" ? number : number - 1;
    if (before.kind === "exited") this.#lastState = { terminated: this.#terminatedBy(before, beforeNumber) };
    if (newest.kind === "running") {
      this.#process = newest.process;
      // The environment of its probes and hooks.
      const launch = await this.#options.prepare();
      if (launch.kind === "ready") this.#remember(launch);
      this.#state = { running: { startedAt: formatTime(newest.process.startedAtMs) } };
      // It served while nobody looked: it stays ready until a probe of this agent says otherwise, so that traffic goes on.
      const { earlier } = this.#options;
      if (earlier?.containerID === this.#containerId(number)) {
        this.#isReady = earlier.ready;
        this.#isStarted = earlier.started === true;
      }
    } else if (newest.kind === "exited") {
      this.#recovered = newest;
      this.#state = { terminated: this.#terminatedBy(newest, number) };
    }
  }

  start(): void {
    this.#loop ??= this.#run();
  }

  status(): ContainerStatus {
    const { container } = this.#options;
    return {
      name: this.name,
      image: container.image ?? "",
      imageID: this.#state.waiting === undefined ? (container.image ?? "") : "",
      ...(this.#attempt >= 0 ? { containerID: this.#containerId(this.#attempt) } : {}),
      state: this.#state,
      lastState: this.#lastState,
      ready: this.role === "init" ? this.#state.terminated?.exitCode === 0 : this.#isReady,
      started: this.#isStarted,
      restartCount: Math.max(this.#attempt, 0),
    };
  }

  async stop(graceMs: number): Promise<void> {
    if (this.#isReleased) return;
    this.#stopGraceMs = graceMs;
    this.#stopping.abort();
    if (this.#process !== undefined) {
      // An end that is under way with a longer grace is cut short.
      if (graceMs === 0) await this.#process.kill();
      this.#options.record("Normal", "Killing", `Stopping container ${this.name}`);
      // The loop reports the exit; a pod that is deleted when it is found has none yet.
      this.start();
      await this.#terminate(this.#process, graceMs);
    }
    await this.#loop;
  }

  async release(): Promise<void> {
    this.#isReleased = true;
    this.#stopping.abort();
    this.#released.resolve(undefined);
    this.#process?.release();
    await this.#loop;
  }

  attemptDir(isPrevious: boolean): string | undefined {
    const number = this.#attempt - (isPrevious ? 1 : 0);
    return number < 0 ? undefined : attemptFolder(this.#options.dir, number);
  }

  isRunning(): boolean {
    return this.#process !== undefined;
  }

  async #run(): Promise<void> {
    let crashes = 0;
    let ended = this.#recovered;
    for (;;) {
      if (ended === undefined) {
        const process = this.#process ?? (await this.#launch());
        if (process === undefined) break;
        const exit = await this.#supervise(process);
        // Left to the next agent.
        if (exit === undefined) return;
        ended = { exit, startedAtMs: process.startedAtMs };
      }
      const terminated = this.#terminatedBy(ended, this.#attempt);
      this.#change({ terminated });
      if (!this.#mayRestart(ended.exit.exitCode)) break;
      this.#lastState = { terminated };
      if (ended.exit.finishedAtMs - ended.startedAtMs > CRASH_RESET_MS) crashes = 0;
      await this.#backOff(crashes, ended.exit.finishedAtMs);
      if (this.#stopping.signal.aborted) {
        this.#change({ terminated });
        break;
      }
      crashes += 1;
      ended = undefined;
      await forgetAttempts(this.#options.dir, this.#attempt + 2 - KEPT_ATTEMPTS);
    }
    this.#started.resolve();
    this.#finished.resolve();
  }

  /** Tries until a process runs; undefined when the container is to stop first. */
  async #launch(): Promise<ContainerProcess | undefined> {
    for (let failures = 0; !this.#stopping.signal.aborted; failures += 1) {
      const launch = await this.#options.prepare();
      if (launch.kind === "waiting") {
        await this.#wait(launch.reason, launch.message, failures);
        continue;
      }
      if (this.#stopping.signal.aborted) return undefined;
      try {
        return await this.#startProcess(launch);
      } catch (error) {
        await this.#wait("RunContainerError", messageOf(error), failures);
      }
    }
    return undefined;
  }

  async #startProcess(launch: Extract<Launch, { kind: "ready" }>): Promise<ContainerProcess> {
    const dir = attemptFolder(this.#options.dir, this.#attempt + 1);
    await rm(dir, { recursive: true, force: true });
    if (launch.sandbox.doneFile !== undefined) await rm(launch.sandbox.doneFile, { force: true });
    const process = await startProcess(this.#options, { ...launch, dir, token: randomUUID() });
    this.#attempt += 1;
    this.#remember(launch);
    const { record } = this.#options;
    record("Normal", "Started", `Started container ${this.name}`);
    const notes = launch.notes.join("; ");
    if (notes !== "" && notes !== this.#notes) record("Warning", "VolumesNotMounted", notes);
    this.#notes = notes;
    return process;
  }

  /** What probes and hooks need to know of the process. */
  #remember(launch: Extract<Launch, { kind: "ready" }>): void {
    this.#env = launch.env;
    this.#cwd = launch.cwd;
    this.#sandbox = launch.sandbox;
  }

  /** Shows why nothing runs, and waits before the next try. */
  async #wait(reason: string, message: string, failures: number): Promise<void> {
    const { clock, backoffScale, container, record } = this.#options;
    this.#change({ waiting: { reason, message } });
    if (message !== this.#lastMessage) record("Warning", "Failed", `Error: ${message}`);
    this.#lastMessage = message;
    const delayMs =
      reason === "CreateContainerConfigError" ? CONFIG_RETRY_MS : backoffMs(failures, CRASH_BACKOFF);
    if (reason === "ErrImagePull") {
      // As under a kubelet: the error first, then that it waits before the next try.
      await sleep(clock, PULL_ERROR_MS * backoffScale, this.#stopping.signal);
      const words = `Back-off pulling image ${JSON.stringify(container.image ?? "")}: ${message}`;
      if (!this.#stopping.signal.aborted)
        this.#change({ waiting: { reason: "ImagePullBackOff", message: words } });
    }
    await sleep(clock, delayMs * backoffScale, this.#stopping.signal);
  }

  /** Watches over a running process until it ends; undefined when it is left to the next agent. */
  async #supervise(process: ContainerProcess): Promise<ProcessExit | undefined> {
    this.#process = process;
    // The stop came while the process was being started.
    if (this.#stopping.signal.aborted && !this.#isReleased) void this.#terminate(process, this.#stopGraceMs);
    const probing = new AbortController();
    const stopLog = keepLog(this.#options.clock, attemptFolder(this.#options.dir, this.#attempt));
    this.#lastMessage = undefined;
    void this.#begin(process, probing.signal);
    const exit = await Promise.race([process.exited, this.#released.promise]);
    probing.abort();
    stopLog();
    if (exit === undefined) return undefined;
    this.#process = undefined;
    this.#isReady = false;
    this.#isStarted = false;
    if (exit.exitCode !== 0 && !this.#stopping.signal.aborted)
      void this.#checkPorts(0, this.#stopping.signal);
    return exit;
  }

  /** postStart first, as in Kubernetes: until it is done the container does not count as running; when it fails the container ends. */
  async #begin(process: ContainerProcess, signal: AbortSignal): Promise<void> {
    const { clock, container, record } = this.#options;
    const hook = container.lifecycle?.postStart;
    // Once per attempt, and again after an agent that died meanwhile: at least once, as Kubernetes says.
    const marker = join(attemptFolder(this.#options.dir, this.#attempt), "started");
    if (hook !== undefined && !(await isThere(marker))) {
      const outcome = await runHook(clock, hook, this.#probeTarget(), POST_START_MS, process.exited);
      if (signal.aborted || outcome === undefined) return;
      if (!outcome.ok) {
        record("Warning", "FailedPostStartHook", `PostStartHook failed: ${outcome.message}`);
        await this.#terminate(process, this.#options.graceMs);
        return;
      }
      await writeFile(marker, "");
      if (signal.aborted) return;
    }
    this.#change({ running: { startedAt: formatTime(process.startedAtMs) } });
    this.#watchHealth(process, signal);
    await this.#checkPorts(PORT_CHECK_MS, signal);
  }

  #watchHealth(process: ContainerProcess, signal: AbortSignal): void {
    const { clock, container, record } = this.#options;
    watchHealth({
      clock,
      container,
      target: this.#probeTarget(),
      startedAtMs: process.startedAtMs,
      signal,
      onStarted: () => {
        this.#isStarted = true;
        this.#started.resolve();
        this.#options.onChange();
      },
      onReady: (isReady) => {
        if (isReady === this.#isReady) return;
        this.#isReady = isReady;
        this.#options.onChange();
      },
      onUnhealthy: (kind, probe) => this.#onUnhealthy(process, kind, probe),
      onAttemptFailed: (message) => record("Warning", "Unhealthy", message),
    });
  }

  #onUnhealthy(process: ContainerProcess, kind: string, probe: Probe): void {
    const words = `Container ${this.name} failed ${kind} probe, will be restarted`;
    this.#options.record("Normal", "Killing", words);
    const seconds = probe.terminationGracePeriodSeconds;
    void this.#terminate(process, seconds === undefined ? this.#options.graceMs : seconds * 1000);
  }

  #terminate(process: ContainerProcess, graceMs: number): Promise<void> {
    const { clock, container, record } = this.#options;
    this.#terminating ??= terminateProcess({
      clock,
      process,
      graceMs,
      preStop: container.lifecycle?.preStop,
      target: this.#probeTarget(),
      onHookFailed: (message) => record("Warning", "FailedPreStopHook", message),
    }).finally(() => {
      this.#terminating = undefined;
    });
    return this.#terminating;
  }

  async #checkPorts(delayMs: number, signal: AbortSignal): Promise<void> {
    const { clock, container, network, record } = this.#options;
    for (const words of await portsNotHonoured(clock, container, network, delayMs, signal))
      record("Warning", "PortNotHonoured", words);
  }

  async #backOff(crashes: number, finishedAtMs: number): Promise<void> {
    if (crashes === 0) return;
    const { clock, backoffScale, podLabel, record } = this.#options;
    const boundMs = backoffMs(crashes - 1, CRASH_BACKOFF);
    const restMs = finishedAtMs + boundMs * backoffScale - clock.nowMs();
    if (restMs <= 0) return;
    const message = `back-off ${backOffText(boundMs)} restarting failed container=${this.name} pod=${podLabel}`;
    this.#change({ waiting: { reason: "CrashLoopBackOff", message } });
    record("Warning", "BackOff", `Back-off restarting failed container ${this.name} in pod ${podLabel}`);
    await sleep(clock, restMs, this.#stopping.signal);
  }

  #mayRestart(exitCode: number): boolean {
    const policy = this.#options.podRestartPolicy;
    if (this.#stopping.signal.aborted) return false;
    if (this.role === "sidecar") return true;
    if (this.role === "init") return exitCode !== 0 && policy !== "Never";
    return policy === "Always" || (policy === "OnFailure" && exitCode !== 0);
  }

  #change(state: ContainerState): void {
    this.#state = state;
    this.#options.onChange();
  }

  #terminatedBy({ exit, startedAtMs }: Ended, attempt: number): TerminatedState {
    return {
      exitCode: exit.exitCode,
      reason: exit.exitCode === 0 ? "Completed" : "Error",
      startedAt: formatTime(startedAtMs),
      finishedAt: formatTime(exit.finishedAtMs),
      containerID: this.#containerId(attempt),
    };
  }

  #containerId(attempt: number): string {
    return `weir://${this.#options.podUid}/${this.name}/${attempt}`;
  }

  #probeTarget(): ProbeTarget {
    const { container, network } = this.#options;
    return {
      podIp: network.podIp,
      portOf: (port) => actualPort(container, network, port),
      env: this.#env,
      cwd: this.#cwd,
      enter: async () => {
        const pid = await this.#process?.commandPid();
        return pid === undefined || this.#sandbox === undefined
          ? undefined
          : enterSandbox(this.#options.clock, this.#sandbox, pid);
      },
    };
  }
}

async function isThere(file: string): Promise<boolean> {
  try {
    await access(file);
    return true;
  } catch {
    // Not written yet.
    return false;
  }
}

function backOffText(backOffMs: number): string {
  const minutes = Math.floor(backOffMs / 60_000);
  const seconds = Math.round((backOffMs % 60_000) / 1000);
  return minutes > 0 ? `${minutes}m${seconds}s` : `${seconds}s`;
}
