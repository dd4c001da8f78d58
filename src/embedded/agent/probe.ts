// Carries out one probe (httpGet, tcpSocket or exec) and runs it periodically with Kubernetes' defaults and thresholds.
// It reports only changes of the verdict and failures; what they mean is the container runner's business.
import { execFile } from "node:child_process";
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { type Clock, sleep } from "../../lib/clock.ts";
import { isListening } from "./network.ts";
import type { Probe, ProbeAction } from "./podspec.ts";

/** Where the probes of a container go, and as what its commands run. */
export interface ProbeTarget {
  readonly podIp: string;
  /** Actual port of a declared number or name. */
  readonly portOf: (port: number | string) => number | undefined;
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** What stands before commands, so that they see what the container sees; undefined: nothing, they run in `cwd`. */
  readonly enter?: () => Promise<{ readonly prefix: readonly string[]; readonly cwd: string } | undefined>;
}

export type ProbeOutcome = { readonly ok: true } | { readonly ok: false; readonly message: string };

export interface ProbeRun {
  readonly clock: Clock;
  readonly probe: Probe;
  readonly target: ProbeTarget;
  readonly startedAtMs: number;
  readonly signal: AbortSignal;
  /** After `successThreshold` successes in a row. Again only after a failure verdict. */
  readonly onSuccess: () => void;
  /** After `failureThreshold` failures in a row, and at each failure beyond it. */
  readonly onFailure: (message: string) => void;
  /** Each failed attempt, counted or not. */
  readonly onAttemptFailed?: (message: string) => void;
}

const DEFAULTS = { timeoutSeconds: 1, periodSeconds: 10, successThreshold: 1, failureThreshold: 3 } as const;
/** As much of an answer or an output as a message shows. */
const MESSAGE_CHARACTERS = 300;
const EXEC_OUTPUT_BYTES = 64 * 1024;

/** Probes until the signal aborts. */
export async function runProbe(run: ProbeRun): Promise<void> {
  const { clock, probe, signal } = run;
  const periodMs = (probe.periodSeconds ?? DEFAULTS.periodSeconds) * 1000;
  const delayMs = run.startedAtMs + (probe.initialDelaySeconds ?? 0) * 1000 - clock.nowMs();
  if (delayMs > 0) await sleep(clock, delayMs, signal);
  let successes = 0;
  let failures = 0;
  let verdict: "none" | "success" | "failure" = "none";
  while (!signal.aborted) {
    const outcome = await attempt(
      probe,
      run.target,
      (probe.timeoutSeconds ?? DEFAULTS.timeoutSeconds) * 1000,
    );
    if (signal.aborted) return;
    if (outcome.ok) {
      failures = 0;
      successes += 1;
      if (verdict !== "success" && successes >= (probe.successThreshold ?? DEFAULTS.successThreshold)) {
        verdict = "success";
        run.onSuccess();
      }
    } else {
      successes = 0;
      failures += 1;
      run.onAttemptFailed?.(outcome.message);
      if (failures >= (probe.failureThreshold ?? DEFAULTS.failureThreshold)) {
        verdict = "failure";
        run.onFailure(outcome.message);
      }
    }
    await sleep(clock, periodMs, signal);
  }
}

/** Carries out one action. Never throws. */
export async function attempt(
  action: ProbeAction,
  target: ProbeTarget,
  timeoutMs: number,
): Promise<ProbeOutcome> {
  if (action.httpGet !== undefined) return httpGet(action.httpGet, target, timeoutMs);
  if (action.tcpSocket !== undefined) {
    const port = target.portOf(action.tcpSocket.port);
    if (port === undefined) return noPort(action.tcpSocket.port);
    const host = action.tcpSocket.host ?? target.podIp;
    if (await isListening(host, port)) return { ok: true };
    return { ok: false, message: `dial tcp ${host}:${port}: connect: connection refused` };
  }
  if (action.exec !== undefined) return runCommand(action.exec.command ?? [], target, timeoutMs);
  return {
    ok: false,
    message: "the probe has no httpGet, tcpSocket or exec; gRPC probes are not carried out",
  };
}

function noPort(port: number | string): ProbeOutcome {
  return { ok: false, message: `the container declares no port named ${JSON.stringify(port)}` };
}

function httpGet(
  action: NonNullable<ProbeAction["httpGet"]>,
  target: ProbeTarget,
  timeoutMs: number,
): Promise<ProbeOutcome> {
  const port = target.portOf(action.port);
  if (port === undefined) return Promise.resolve(noPort(action.port));
  const host = action.host ?? target.podIp;
  const isTls = action.scheme === "HTTPS";
  const headers: Record<string, string> = { "user-agent": "weir-probe/1", accept: "*/*" };
  for (const { name, value } of action.httpHeaders ?? []) headers[name.toLowerCase()] = value;
  return new Promise((resolve) => {
    const send = isTls ? httpsRequest : httpRequest;
    const request = send({
      host,
      port,
      path: action.path ?? "/",
      headers,
      agent: false,
      timeout: timeoutMs,
      // As a kubelet: a probe asks whether the pod serves, not who it is.
      ...(isTls ? { rejectUnauthorized: false } : {}),
    });
    const deadline = setTimeout(() => {
      resolve({
        ok: false,
        message: `Get "${action.path ?? "/"}" on port ${port}: no answer within ${timeoutMs} ms`,
      });
      request.destroy();
    }, timeoutMs);
    const done = (outcome: ProbeOutcome): void => {
      clearTimeout(deadline);
      resolve(outcome);
    };
    request.once("response", (response) => {
      response.resume();
      const status = response.statusCode ?? 0;
      if (status >= 200 && status < 400) done({ ok: true });
      else done({ ok: false, message: `HTTP probe failed with statuscode: ${status}` });
    });
    request.once("error", (error) =>
      done({ ok: false, message: `Get "${action.path ?? "/"}": ${error.message}` }),
    );
    request.end();
  });
}

async function runCommand(
  command: readonly string[],
  target: ProbeTarget,
  timeoutMs: number,
): Promise<ProbeOutcome> {
  const inside = await target.enter?.();
  const [program = "", ...args] = [...(inside?.prefix ?? []), ...command];
  return new Promise((resolve) => {
    execFile(
      program,
      args,
      {
        env: target.env,
        cwd: inside?.cwd ?? target.cwd,
        timeout: timeoutMs,
        killSignal: "SIGKILL",
        maxBuffer: EXEC_OUTPUT_BYTES,
      },
      (error, stdout, stderr) => {
        if (error === null) return resolve({ ok: true });
        const output = `${stdout}${stderr}`.trim().slice(0, MESSAGE_CHARACTERS);
        const why = error.killed === true ? `command timed out after ${timeoutMs} ms` : error.message.trim();
        resolve({ ok: false, message: output === "" ? why.slice(0, MESSAGE_CHARACTERS) : output });
      },
    );
  });
}
