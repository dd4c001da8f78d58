// The probes of one running container, in Kubernetes' order: startup first; readiness and liveness once it has passed.
import type { Clock } from "../../lib/clock.ts";
import type { Container, Probe } from "./podspec.ts";
import { type ProbeTarget, runProbe } from "./probe.ts";

export interface HealthOptions {
  readonly clock: Clock;
  readonly container: Container;
  readonly target: ProbeTarget;
  readonly startedAtMs: number;
  /** Aborts when the process has ended. */
  readonly signal: AbortSignal;
  /** The container counts as started. */
  readonly onStarted: () => void;
  readonly onReady: (isReady: boolean) => void;
  /** A startup or liveness probe gave up on the process. */
  readonly onUnhealthy: (kind: "startup" | "liveness", probe: Probe) => void;
  /** Words for an event about one failed attempt. */
  readonly onAttemptFailed: (message: string) => void;
}

/** Starts the probes; they end with the signal. Without a startup probe the container counts as started at once. */
export function watchHealth(options: HealthOptions): void {
  const { startupProbe } = options.container;
  if (startupProbe === undefined) {
    begin(options);
    return;
  }
  const startup = new AbortController();
  run(options, "Startup", startupProbe, AbortSignal.any([options.signal, startup.signal]), {
    onSuccess: () => {
      startup.abort();
      if (!options.signal.aborted) begin(options);
    },
    onFailure: () => options.onUnhealthy("startup", startupProbe),
  });
}

function begin(options: HealthOptions): void {
  const { readinessProbe, livenessProbe } = options.container;
  options.onStarted();
  if (readinessProbe === undefined) options.onReady(true);
  else {
    run(options, "Readiness", readinessProbe, options.signal, {
      onSuccess: () => options.onReady(true),
      onFailure: () => options.onReady(false),
    });
  }
  if (livenessProbe === undefined) return;
  run(options, "Liveness", livenessProbe, options.signal, {
    onSuccess: () => undefined,
    onFailure: () => options.onUnhealthy("liveness", livenessProbe),
  });
}

function run(
  options: HealthOptions,
  kind: "Startup" | "Readiness" | "Liveness",
  probe: Probe,
  signal: AbortSignal,
  verdict: { readonly onSuccess: () => void; readonly onFailure: () => void },
): void {
  const { clock, target, startedAtMs } = options;
  // Never rejects: every failure of an attempt is a verdict.
  void runProbe({
    clock,
    probe,
    target,
    startedAtMs,
    signal,
    ...verdict,
    onAttemptFailed: (message) => options.onAttemptFailed(`${kind} probe failed: ${message}`),
  });
}
