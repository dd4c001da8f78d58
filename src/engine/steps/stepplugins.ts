// Canary steps that a plugin carries out. Pure choice: which operation of which plugin to call now, and what an answer means. The controller calls;
// answers come back in the snapshot, and the status tells which calls are done, so that a lost answer is asked for again under the same id.
// Source of the rules: Argo: rollout/stepplugin.go, rollout/steps/plugin/plugin.go, v1.9. In weir a call never holds up a pass.
import { MESSAGES, REASONS, type StepPluginStatus } from "../../api/api.ts";
import { assertNever } from "../../lib/assert.ts";
import { formatDuration, parseDuration } from "../../lib/duration.ts";
import { formatTime, parseTime } from "../../lib/time.ts";
import { type Context, memberAt } from "../context.ts";
import type { PlannedEvent, PluginCall, Wait } from "../plan.ts";
import type { PluginOutcome } from "../snapshot.ts";
import { aborted, isHalted, type Mode, type Stage } from "../stage.ts";
import { isGate } from "./gate.ts";

/** How long a plugin that is running, or whose call failed, is left alone. A plugin may ask for longer, not for less than MIN_BACKOFF_MS. */
const BACKOFF_MS = 30_000;
const MIN_BACKOFF_MS = 10_000;

export interface RecordedPlugins {
  readonly stage: Stage;
  readonly events: readonly PlannedEvent[];
}

/** Takes the answers that have come into the stage. A plugin that failed its step aborts the update. */
export function recordPlugins(context: Context, before: Stage): RecordedPlugins {
  let stage = before;
  const events: PlannedEvent[] = [];
  for (const outcome of context.snapshot.plugins?.outcomes ?? []) {
    const { call } = outcome;
    const known = entryOf(stage, call.index, call.operation);
    const { startedAt } = entryOf(stage, call.index, "Run") ?? {};
    const entry = call.id === callId(context, call, startedAt) ? entryAfter(known, outcome) : undefined;
    if (entry === undefined) continue;
    stage = { ...stage, plugins: withEntry(stage.plugins, entry) };
    events.push(...transition(known, entry));
    if (entry.operation === "Run" && entry.phase === "Failed" && !stage.isAborted) {
      const words = MESSAGES.stepPluginFailed(entry.index, entry.name, entry.message ?? "");
      stage = aborted(context, stage, words);
    }
  }
  return { stage, events };
}

export interface PluginPlan {
  readonly stage: Stage;
  readonly calls: readonly PluginCall[];
  readonly events: readonly PlannedEvent[];
  readonly waits: readonly Wait[];
  readonly requeueAtMs?: number;
}

/** What to call now, one operation at a time: the current step's Run, or what ends the Runs before it. */
export function planPlugins(context: Context, mode: Mode, stage: Stage): PluginPlan {
  const idle = { stage, calls: [], events: [], waits: [] };
  switch (mode) {
    case "aborted":
      return ended(context, stage, "Abort", ({ phase }) => phase === "Running" || phase === "Successful");
    case "promoteFull":
    case "promoted":
    case "rollback":
      return ended(context, stage, "Terminate", ({ phase }) => phase === "Running");
    case "steps":
      return isHalted(context, stage) ? idle : running(context, stage);
    case "firstDeploy":
      return idle;
    default:
      return assertNever(mode);
  }
}

/** Whether the plugin of the step at `index` has done it, is disabled, or was told to end. */
export function isPluginDone(stage: Stage, index: number): boolean {
  const run = entryOf(stage, index, "Run");
  if (run === undefined) return false;
  const isEnded = (["Terminate", "Abort"] as const).some((kind) => entryOf(stage, index, kind) !== undefined);
  return run.phase === "Successful" || run.phase === "Failed" || isEnded;
}

/**
 * Whether the current step is one of weir's own plugins that says it is at work: the progress deadline rests meanwhile, as in a pause.
 * With any other it runs on, as users of Argo expect it.
 */
export function isGateAtWork(context: Context, stage: Stage): boolean {
  const { index } = stage;
  const plugin = memberAt(context, index, "plugin");
  if (index === undefined || plugin === undefined || !isGate(plugin.name)) return false;
  const run = entryOf(stage, index, "Run");
  return run?.phase === "Running" && (run.executions ?? 0) > 0;
}

/** The current step's plugin: asked at once, and again after each back-off until it is done. */
function running(context: Context, stage: Stage): PluginPlan {
  const { index } = stage;
  const plugin = memberAt(context, index, "plugin");
  const idle = { stage, calls: [], events: [], waits: [] };
  if (index === undefined || plugin === undefined || isPluginDone(stage, index)) return idle;
  const { name } = plugin;
  if (!isKnown(context, name)) return unknownPlugin(context, stage, index, name);
  const run = entryOf(stage, index, "Run");
  const at = formatTime(context.nowMs);
  if (context.snapshot.plugins?.disabled?.includes(name) === true) {
    const entry: StepPluginStatus = { index, name, operation: "Run", phase: "Successful", disabled: true };
    return { ...idle, stage: { ...stage, plugins: withEntry(stage.plugins, { ...entry, startedAt: at }) } };
  }
  // It is told before it is asked: whoever aborts meanwhile has something to abort.
  const begun: StepPluginStatus = run ?? { index, name, operation: "Run", phase: "Running", startedAt: at };
  const again = backoffEnd(begun);
  if (context.nowMs < again) {
    const { phase = "Running", message = "" } = begun;
    const said = message === "" ? "" : `: ${message}`;
    const text = `step plugin ${name} is ${phase}${said}; asked again at ${formatTime(again)}`;
    return { ...idle, waits: [{ code: "plugin", text, untilMs: again }], requeueAtMs: again };
  }
  const call = callOf(context, begun, "Run", (begun.executions ?? 0) + 1);
  const text = `the answer of step plugin ${name} (call ${call.execution})`;
  return {
    ...idle,
    stage: { ...stage, plugins: withEntry(stage.plugins, begun) },
    calls: [call],
    waits: [{ code: "plugin", text }],
  };
}

/** Ends what was begun, the last first, each once and one after the other. */
function ended(
  context: Context,
  stage: Stage,
  operation: "Abort" | "Terminate",
  needsIt: (run: StepPluginStatus) => boolean,
): PluginPlan {
  const idle = { stage, calls: [], events: [], waits: [] };
  const due = stage.plugins.findLast(
    (entry) =>
      entry.operation === "Run" &&
      entry.disabled !== true &&
      needsIt(entry) &&
      entryOf(stage, entry.index, operation) === undefined &&
      isKnown(context, entry.name),
  );
  if (due === undefined) return idle;
  const text = `the answer of step plugin ${due.name} to ${operation}`;
  return { ...idle, calls: [callOf(context, due, operation, 1)], waits: [{ code: "plugin", text }] };
}

/** A plugin that nobody has configured, or that the controller may not call, is no step done: told once on the way in, and Degraded after the deadline. */
function unknownPlugin(context: Context, stage: Stage, index: number, name: string): PluginPlan {
  const isOff = context.snapshot.plugins?.names?.length === 0;
  const lack = isOff
    ? "is not called: step plugins are switched off (--no-step-plugins)"
    : "is not configured";
  const why = `could not create step plugin at index ${index} : step plugin "${name}" ${lack}`;
  const { currentStepIndex, currentPodHash, currentStepHash, abortedAt } = context.status;
  const isEntered =
    currentStepIndex !== index ||
    currentPodHash !== context.podHash ||
    currentStepHash !== context.stepHash ||
    (abortedAt !== undefined && !stage.isAborted);
  const message = MESSAGES.reconciliationError(why);
  const event: PlannedEvent = { type: "Warning", reason: REASONS.reconciliationError, message };
  return {
    stage,
    calls: [],
    events: isEntered ? [event] : [],
    waits: [{ code: "plugin", text: `step plugin ${name} ${lack}` }],
  };
}

function isKnown({ snapshot }: Context, name: string): boolean {
  return snapshot.plugins?.names?.includes(name) ?? true;
}

/** The entry that an answer makes; undefined when the status does not wait for this very call. */
function entryAfter(
  known: StepPluginStatus | undefined,
  outcome: PluginOutcome,
): StepPluginStatus | undefined {
  const { operation, execution } = outcome.call;
  if (operation !== "Run") return known === undefined ? endEntry(outcome) : undefined;
  const isOpen = known?.phase === "Running" || known?.phase === "Error";
  return isOpen && (known.executions ?? 0) === execution - 1 ? runEntry(known, outcome) : undefined;
}

/** The entry of a Run after one more execution. */
function runEntry(known: StepPluginStatus, outcome: PluginOutcome): StepPluginStatus {
  const { call, answer } = outcome;
  const { backoff: _backoff, message: _message, ...before } = known;
  const phase = answer.kind === "error" ? "Error" : (answer.phase ?? known.phase ?? "Running");
  const at = formatTime(outcome.endedAtMs);
  const isOver = phase === "Successful" || phase === "Failed";
  const backoff = backoffAfter(outcome, phase);
  return {
    ...before,
    startedAt: before.startedAt ?? formatTime(outcome.startedAtMs),
    phase,
    ...(answer.message === undefined || answer.message === "" ? {} : { message: answer.message }),
    updatedAt: at,
    ...(isOver ? { finishedAt: at } : {}),
    ...(backoff === undefined ? {} : { backoff }),
    executions: call.execution,
    // What an error brings cannot be trusted: the next call goes on from what was there.
    ...(answer.kind === "answer" && phase !== "Error" ? { status: answer.status } : {}),
  };
}

/** The entry of an Abort or a Terminate, which are done with one call, whatever it brings. */
function endEntry({ call, answer, startedAtMs, endedAtMs }: PluginOutcome): StepPluginStatus {
  const { index, name, operation } = call;
  const phase = answer.kind === "error" ? "Error" : (answer.phase ?? "Successful");
  return {
    index,
    name,
    operation,
    // They cannot go on in the background.
    phase: phase === "Running" ? "Failed" : phase,
    ...(answer.message === undefined || answer.message === "" ? {} : { message: answer.message }),
    startedAt: formatTime(startedAtMs),
    finishedAt: formatTime(endedAtMs),
  };
}

function backoffAfter({ answer }: PluginOutcome, phase: StepPluginStatus["phase"]): string | undefined {
  if (phase === "Error") return formatDuration(BACKOFF_MS);
  if (phase !== "Running") return undefined;
  const asked = answer.kind === "answer" ? (answer.retryAfterMs ?? 0) : 0;
  return formatDuration(asked > MIN_BACKOFF_MS ? asked : BACKOFF_MS);
}

/** Until when it is left alone; the beginning of time for one that has not answered yet. */
function backoffEnd({ updatedAt, backoff = "" }: StepPluginStatus): number {
  return (parseTime(updatedAt) ?? 0) + (parseDuration(backoff) ?? 0);
}

/** The event of a change of phase. A Run that succeeds is told as the step's completion. */
function transition(known: StepPluginStatus | undefined, entry: StepPluginStatus): readonly PlannedEvent[] {
  const { name, index, operation, phase = "Running" } = entry;
  const isSame = (known?.executions ?? 0) > 0 && known?.phase === phase;
  if (isSame || (operation === "Run" && phase === "Successful")) return [];
  const type = phase === "Error" || phase === "Failed" ? "Warning" : "Normal";
  const words = {
    Run: MESSAGES.stepPluginRun,
    Abort: MESSAGES.stepPluginAborted,
    Terminate: MESSAGES.stepPluginTerminated,
  }[operation];
  return [{ type, reason: REASONS.stepPluginTransition, message: words(name, index, phase) }];
}

function callOf(
  context: Context,
  run: StepPluginStatus,
  operation: PluginCall["operation"],
  execution: number,
): PluginCall {
  const { index, name } = run;
  const config = memberAt(context, index, "plugin")?.config;
  const versions = { stable: context.status.stableRS ?? "", canary: context.podHash };
  const { revision } = context;
  const call = { index, name, operation, execution, config, status: run.status, revision, versions };
  return { ...call, id: callId(context, call, run.startedAt) };
}

/** The same for the same call, whoever makes it: of this update and attempt, this step, this operation and this execution. */
function callId(
  { uid, podHash }: Context,
  { index, operation, execution }: Pick<PluginCall, "index" | "operation" | "execution">,
  begunAt = "",
): string {
  return `${uid}/${podHash}/${index}/${begunAt}/${operation}/${execution}`;
}

function entryOf(
  { plugins }: Stage,
  index: number,
  operation: StepPluginStatus["operation"],
): StepPluginStatus | undefined {
  return plugins.find((entry) => entry.index === index && entry.operation === operation);
}

function withEntry(
  entries: readonly StepPluginStatus[],
  entry: StepPluginStatus,
): readonly StepPluginStatus[] {
  const isSame = (one: StepPluginStatus): boolean =>
    one.index === entry.index && one.operation === entry.operation;
  return entries.some(isSame) ? entries.map((one) => (isSame(one) ? entry : one)) : [...entries, entry];
}
