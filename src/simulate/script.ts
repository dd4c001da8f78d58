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
import { unanswered } from "./measuring.ts";
import { dueMs, settle } from "./reconcile.ts";
import { clockText } from "./show.ts";
import type { World } from "./world.ts";

/** Decisions that one script may take. */
const MAX_DECISIONS = 200_000;
/** The lines below `# timeline, …` in an output. */
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

/**
 * The script again, with the output that the engine gives now. Throws `script` at the line that is wrong.
 * A command may stand without its `> `; what is indented is the output of an earlier run, and left out.
 */
export function runScript(text: string, { file = "script", world: given }: ScriptOptions = {}): string {
  const out: string[] = [];
  let world: World | undefined;
  for (const line of linesOf(text)) {
    if (line.kind === "remark") {
      if (line.text !== "" || out.at(-1) !== "") out.push(line.text);
      continue;
    }
    const isBegun = given === undefined || world !== undefined || /^rollout\b/.test(line.text);
    for (const command of isBegun ? [line.text] : ["rollout", line.text]) {
      try {
        world = worldFor(command, world, given);
        const shown = runCommand(world, command, given !== undefined);
        const isApart = out.length > 0 && out.at(-1) !== "" && !(out.at(-1) ?? "").startsWith("#");
        out.push(...(isApart ? [""] : []), `> ${command}`, ...shown.map((row) => `  ${row}`));
      } catch (error) {
        throw new WeirError({
          code: SIMULATE_ERRORS.script,
          source: "user",
          message: `${file}:${line.number}: ${command}: ${messageOf(error)}`,
          cause: error,
        });
      }
    }
  }
  return `${out.join("\n").trimEnd()}\n`;
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
    isTimeline = /^# timeline, \d+ decisions$/.test(line) || (isTimeline && TIMELINE_ROW.test(line));
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

function runCommand(world: World, text: string, isOfFiles: boolean): readonly string[] {
  const [, verb = "", rest = ""] = /^(\S+)\s*(.*)$/s.exec(text) ?? [];
  const command = Object.hasOwn(COMMANDS, verb) ? COMMANDS[verb] : undefined;
  if (command === undefined) throw new Error(`unknown command${didYouMean(verb, Object.keys(COMMANDS))}`);
  if (isOfFiles && command.notOnFiles !== undefined)
    throw new Error(`not with a Rollout of files: ${command.notOnFiles}`);
  const args = argumentsOf(verb, command.form, rest);
  if (command.show !== undefined) return command.show(world, args);
  command.act?.(world, args);
  return verb === "tick" ? tick(world, parseDuration(args[0] ?? "") ?? 0) : comeToRest(world);
}

/** What happens until nothing changes any more, and how everything stands then. */
function comeToRest(world: World): readonly string[] {
  const shown: string[] = [];
  const plan = settle(world, {
    decided: (next) => shown.push(...describe(world, next)),
    experimented: (lines) => shown.push(...lines),
  });
  return [...shown, ...(plan === undefined ? [] : state(world, plan)), ...experimentStates(world)];
}

/** Time passes; how everything stands is told at its end alone. */
function tick(world: World, durationMs: number): readonly string[] {
  const untilMs = world.nowMs + durationMs;
  const shown: string[] = [];
  for (let atMs = dueMs(world); atMs <= untilMs; atMs = dueMs(world)) {
    if (world.decisions > MAX_DECISIONS)
      throw new Error(`more than ${MAX_DECISIONS} decisions: let less time pass`);
    world.nowMs = Math.max(world.nowMs, atMs);
    shown.push(...comeToRest(world).filter((line) => !/^(?:=|~|waits(?!: metric ))/.test(line)));
  }
  world.nowMs = untilMs;
  return [...shown, ...comeToRest(world)];
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
  const at = step === undefined ? "" : `, step ${step.index}/${step.count}`;
  const pods = versions.map(({ role, available, desired, weight }) => {
    const share = weight === undefined ? "" : ` ${weight}%`;
    return `${role} ${available}/${desired}${share}`;
  });
  return [
    `= ${time} ${phase}${message === "" ? "" : ` (${message})`}${at}, ${pods.join(", ")}`,
    ...waits.map(({ text }) => `waits: ${text}`),
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
