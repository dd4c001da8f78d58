// Runs a scenario script against the model world: one command a line (`> tick 30s`), below it what weir then does, pass by pass.
// A script is its own expectation: running it gives the text that the file should hold.
import { didYouMean, type TrafficIntent } from "../api/api.ts";
import type { Plan } from "../engine/decide.ts";
import { parseDuration } from "../lib/duration.ts";
import { messageOf, WeirError } from "../lib/errors.ts";
import { jsonEqual } from "../lib/json.ts";
import { argumentsOf } from "./arguments.ts";
import { COMMANDS } from "./commands.ts";
import { experimentStates } from "./experiments.ts";
import { createWorld, withoutRollout } from "./madeup.ts";
import { measureAhead, measureDueMs, unanswered } from "./measuring.ts";
import { decisionDueMs, settle } from "./reconcile.ts";
import { clockText } from "./show.ts";
import { START_MS, type World } from "./world.ts";

/** Decisions that one script may take. */
const MAX_DECISIONS = 200_000;
/** Times at which one script may measure without a decision. */
const MAX_MEASURED = 5_000_000;
/** The line above a timeline; that of a script that did not come to its end says how far it came. */
const TIMELINE_HEAD = /^# timeline, \d+ decisions(?:, broken off at .*)?$/;
/** The lines below it. */
const TIMELINE_ROW = /^# +\S+ +(?:Healthy|Progressing|Paused|Degraded)\b/;

export const SIMULATE_ERRORS = {
  /** A line of a script that is no command, or one that cannot be carried out. */
  script: "WEIR_ERR_SIMULATE_SCRIPT",
} as const;

export interface ScriptOptions {
  /** Named in errors. Default: `script`. */
  readonly file?: string;
  /** A Rollout that is there already; the script does not make one up. */
  readonly world?: World;
}

/** What has come up; nothing for a while of work that nothing is to be told of, in which whoever listens may look elsewhere. */
type Rows = Generator<readonly string[], void>;

/**
 * The script again, with the output that the engine gives now. Throws `script` at the line that is wrong.
 * A command may stand without its `> `; what is indented is the output of an earlier run, and left out.
 */
export function runScript(text: string, options: ScriptOptions = {}): string {
  return `${[...playScript(text, options)].flat().join("\n")}\n`;
}

/** The same row by row, as it happens. */
export function* playScript(text: string, { file = "script", world: given }: ScriptOptions = {}): Rows {
  let world: World | undefined;
  let last: string | undefined;
  let isBlankDue = false;
  for (const line of linesOf(text)) {
    const isRemark = line.kind === "remark";
    if (isRemark && line.text === "") {
      isBlankDue = true;
      continue;
    }
    const isBegun = given === undefined || world !== undefined || /^rollout\b/.test(line.text);
    for (const part of isRemark || isBegun ? [line.text] : ["rollout", line.text]) {
      const isApart = isBlankDue || (!isRemark && last !== undefined && !last.startsWith("#"));
      const head = [...(isApart ? [""] : []), isRemark ? part : `> ${part}`];
      isBlankDue = false;
      last = head.at(-1);
      if (isRemark) {
        yield head;
        continue;
      }
      try {
        world = worldFor(part, world, given);
        yield* below(head, runCommand(world, part, given !== undefined));
        world.nowMs = Math.max(world.nowMs, START_MS);
      } catch (error) {
        throw scriptError(`${file}:${line.number}: ${part}`, error);
      }
    }
  }
}

/** A command is shown with the first that comes of it: one that is refused is not. */
function* below(head: readonly string[], rows: Rows): Rows {
  let above = head;
  for (const some of rows) {
    yield [...above, ...some.map((row) => `  ${row}`)];
    above = [];
  }
}

function scriptError(place: string, cause: unknown): WeirError {
  return new WeirError({
    code: SIMULATE_ERRORS.script,
    source: "user",
    message: `${place}: ${messageOf(cause)}`,
    cause,
  });
}

/** A line that stays: a command, or a comment or an empty line. */
interface Line {
  readonly kind: "command" | "remark";
  readonly text: string;
  /** From 1. */
  readonly number: number;
}

/** The lines of a script without the output of an earlier run. */
function linesOf(text: string): readonly Line[] {
  const lines: Line[] = [];
  let isTimeline = false;
  // Editors of some systems put a mark before the first line, which would count as indented.
  for (const [index, line] of text
    .replace(/^\uFEFF/, "")
    .split("\n")
    .entries()) {
    isTimeline = TIMELINE_HEAD.test(line) || (isTimeline && TIMELINE_ROW.test(line));
    const number = index + 1;
    if (isTimeline) continue;
    if (line.startsWith("#") || line.trim() === "") lines.push({ kind: "remark", text: line.trim(), number });
    else if (!/^\s/.test(line))
      lines.push({ kind: "command", text: line.replace(/^>\s/, "").trim(), number });
  }
  return lines;
}

/** The world that the command works in: that of the files, or one that the script's first command makes up. */
function worldFor(command: string, known: World | undefined, given: World | undefined): World {
  const [verb, ...words] = command.split(/\s+/);
  if (verb === "rollout" && given === undefined) return createWorld(words);
  if (verb === "rollout" && words.length > 0)
    throw new Error("the Rollout is the one of the files: `rollout` takes no words here");
  const world = known ?? given ?? (verb === "experiment" ? withoutRollout() : undefined);
  if (world === undefined) throw new Error('the first command must be "rollout" or "experiment"');
  return world;
}

function* runCommand(world: World, text: string, isOfFiles: boolean): Rows {
  const [, verb = "", rest = ""] = /^(\S+)\s*(.*)$/s.exec(text) ?? [];
  const command = Object.hasOwn(COMMANDS, verb) ? COMMANDS[verb] : undefined;
  if (command === undefined) throw new Error(`unknown command${didYouMean(verb, Object.keys(COMMANDS))}`);
  if (isOfFiles && command.notOnFiles !== undefined)
    throw new Error(`not with a Rollout of files: ${command.notOnFiles}`);
  const args = argumentsOf(verb, command.form, rest);
  command.act?.(world, args);
  if (command.show !== undefined) yield command.show(world, args);
  else if (verb === "tick") yield* tick(world, parseDuration(args[0] ?? "") ?? 0);
  else yield comeToRest(world).rows;
}

interface Rest {
  /** What happened until then, and how everything stands. */
  readonly rows: readonly string[];
  /** The last decision; undefined where no Rollout takes part. */
  readonly plan: Plan | undefined;
}

/** Decides until nothing changes any more. */
function comeToRest(world: World): Rest {
  const shown: string[] = [];
  const plan = settle(world, {
    decided: (next) => shown.push(...describe(world, next)),
    experimented: (lines) => shown.push(...lines),
  });
  const states = [...(plan === undefined ? [] : state(world, plan)), ...experimentStates(world)];
  return { rows: [...shown, ...states], plan };
}

/** Time passes; how everything stands is told at its end alone. */
function* tick(world: World, durationMs: number): Rows {
  const untilMs = world.nowMs + durationMs;
  let wakeMs = decisionDueMs(world, world.hasRollout ? world.plan() : undefined);
  for (;;) {
    yield* measure(world, Math.min(wakeMs - 1, untilMs));
    const atMs = Math.min(wakeMs, measureDueMs(world) ?? Number.POSITIVE_INFINITY);
    if (atMs > untilMs) break;
    if (world.decisions > MAX_DECISIONS)
      throw new Error(`more than ${MAX_DECISIONS} decisions: let less time pass`);
    world.nowMs = Math.max(world.nowMs, atMs);
    const { rows, plan } = comeToRest(world);
    yield rows.filter((line) => !/^(?:=|~|waits(?!: metric ))/.test(line));
    wakeMs = decisionDueMs(world, plan);
  }
  world.nowMs = untilMs;
  yield comeToRest(world).rows;
}

/** Measurements until `untilMs`, as far as nobody decides anything because of them. */
function* measure(world: World, untilMs: number): Rows {
  for (const atMs of measureAhead(world, untilMs)) {
    world.nowMs = atMs;
    world.measured += 1;
    if (world.measured > MAX_MEASURED)
      throw new Error(`measurements at more than ${MAX_MEASURED} times: let less time pass`);
    yield [];
  }
}

/** What a plan changes; nothing for a plan that changes nothing. */
function describe(world: World, plan: Plan): readonly string[] {
  const lines = plan.explanation.does.map((text) => `- ${text}`);
  if (plan.traffic !== undefined && !jsonEqual(plan.traffic, world.published)) {
    lines.push(`- publish: ${intentWords(plan.traffic)}`);
  }
  const writes = world.routerWrites(plan);
  lines.push(...writes.map(({ verb, name }) => `- ${verb} Ingress ${name.name}`));
  for (const { name, operation, index, execution } of world.plugins.unasked(plan.calls ?? []))
    lines.push(`- call ${name} ${operation}: step ${index + 1}, call ${execution}`);
  lines.push(...world.eventsOf(plan, writes).map(({ reason, message }) => `! ${reason}: ${message}`));
  lines.push(...plan.warnings.map((warning) => `? ${warning}`));
  return lines;
}

function state(world: World, plan: Plan): readonly string[] {
  const { phase, message, step, versions, waits } = plan.explanation;
  const time = clockText(world.nowMs);
  const isGoing = world.rollout.metadata.deletionTimestamp !== undefined;
  const at = step === undefined ? [] : [`step ${step.index}/${step.count}`];
  const pods = versions.map(({ role, available, desired, weight }) => {
    const share = weight === undefined ? "" : ` ${weight}%`;
    return `${role} ${available}/${desired}${share}`;
  });
  return [
    [`= ${time} ${phase}${message === "" ? "" : ` (${message})`}`, ...at, ...pods].join(", "),
    ...waits.map(({ text }) => `waits: ${text}`),
    ...(isGoing ? ["waits: for nothing any more: the Rollout is being deleted"] : []),
    ...missingAnswers(world),
  ];
}

/** One line for a metric that nobody answers, once. Scripts that make up their Rollout may say how runs end (`measure`) instead. */
function missingAnswers(world: World): readonly string[] {
  if (!world.isOfFiles && world.answers.size === 0) return [];
  const names = unanswered(world).filter((name) => !world.toldUnanswered.has(name));
  for (const name of names) world.toldUnanswered.add(name);
  return names.map((name) => `waits: metric ${name} has no answer: \`metric ${name} VALUE\` would give one`);
}

function intentWords({ versions, routes = [], rootService, stableService }: TrafficIntent): string {
  const split = versions.map(({ role, podHash, weight }) => `${role} ${podHash} ${weight}`);
  const managed = routes.map(({ kind, name }) => `${kind} route ${name}`);
  const service = rootService === undefined ? [] : [`stable is ${stableService}`];
  return [...split, ...managed, ...service].join(", ");
}
