// What a Rollout says about its own aborts beyond Argo, in annotations, which Argo's CRDs keep: how the traffic goes back, and after how many
// ends of a container an update is given up.
import { parseDuration } from "../lib/duration.ts";
import type { Path } from "./decode.ts";
import { type FieldError, invalid, quoted } from "./fielderror.ts";
import { ABORT_INTERVAL_ANNOTATION, ABORT_STEP_ANNOTATION, CRASH_LOOP_ANNOTATION } from "./labels.ts";
import type { Rollout } from "./rolloutschema.ts";

/** How the traffic goes back to stable after an abort: so much of all traffic at a time, and no sooner than this after the last time. */
export interface GradualAbort {
  /** 1 to 100. */
  readonly stepPercent: number;
  readonly intervalMs: number;
}

/** Of what is not written when the other is. */
const DEFAULT_STEP_PERCENT = 20;
const DEFAULT_INTERVAL_MS = 10_000;
/** An abort is not to take for ever. */
const MAX_INTERVAL_MS = 3_600_000;
/** Fewer ends than this happen to healthy programs that wait for others. */
const LEAST_RESTARTS = 2;

/** Undefined: at once, as Argo does. Unreadable values count as their defaults; validation has refused them. */
export function gradualAbortOf(rollout: Rollout): GradualAbort | undefined {
  const { step, interval } = writtenIn(rollout);
  if (step === undefined && interval === undefined) return undefined;
  return {
    stepPercent: readStep(step) ?? DEFAULT_STEP_PERCENT,
    intervalMs: readInterval(interval) ?? DEFAULT_INTERVAL_MS,
  };
}

/** After how many ends of one container an update is aborted; undefined: never for that alone. */
export function crashLoopLimitOf(rollout: Rollout): number | undefined {
  return readRestarts(writtenIn(rollout).restarts);
}

/** What is wrong with the annotations. */
export function abortSettingErrors(rollout: Rollout): readonly FieldError[] {
  const { step, interval, restarts } = writtenIn(rollout);
  const at = (key: string): Path => ["metadata", "annotations", key];
  const errors: FieldError[] = [];
  if (step !== undefined && readStep(step) === undefined)
    errors.push(invalid(at(ABORT_STEP_ANNOTATION), quoted(step), "must be a whole percentage from 1 to 100"));
  if (interval !== undefined && readInterval(interval) === undefined)
    errors.push(
      invalid(
        at(ABORT_INTERVAL_ANNOTATION),
        quoted(interval),
        "must be a duration from 1s to 1h, such as 30s",
      ),
    );
  if (restarts !== undefined && readRestarts(restarts) === undefined)
    errors.push(
      invalid(
        at(CRASH_LOOP_ANNOTATION),
        quoted(restarts),
        `must be a whole number of ${LEAST_RESTARTS} or more`,
      ),
    );
  return errors;
}

function writtenIn({ metadata }: Rollout): {
  readonly step: string | undefined;
  readonly interval: string | undefined;
  readonly restarts: string | undefined;
} {
  const annotations = metadata.annotations ?? {};
  return {
    step: annotations[ABORT_STEP_ANNOTATION],
    interval: annotations[ABORT_INTERVAL_ANNOTATION],
    restarts: annotations[CRASH_LOOP_ANNOTATION],
  };
}

function readStep(text = ""): number | undefined {
  const percent = /^\d{1,3}%?$/.test(text) ? Number.parseInt(text, 10) : 0;
  return percent >= 1 && percent <= 100 ? percent : undefined;
}

function readInterval(text = ""): number | undefined {
  const intervalMs = parseDuration(text) ?? 0;
  return intervalMs >= 1000 && intervalMs <= MAX_INTERVAL_MS ? intervalMs : undefined;
}

function readRestarts(text = ""): number | undefined {
  const restarts = /^\d{1,4}$/.test(text) ? Number.parseInt(text, 10) : 0;
  return restarts >= LEAST_RESTARTS ? restarts : undefined;
}
