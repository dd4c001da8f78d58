// `weir quickstart` (`npm start`): the main job as a story of about a minute on one terminal, then a cluster that stays up to play with.
// Exit code 0 only when all went as told.
import { mkdirSync } from "node:fs";
import { appendFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Command } from "commander";
import { RESOURCES } from "../../api/api.ts";
import { systemClock } from "../../lib/clock.ts";
import { isWeirError, messageOf } from "../../lib/errors.ts";
import { createLogger } from "../../lib/log.ts";
import { CLI_ERRORS, type Cli, calledAs } from "../cli.ts";
import { type Local, startLocal } from "../local.ts";
import { untilAborted } from "../up.ts";
import { watchParts } from "../watchrollout.ts";
import { createStage, type Stage } from "./stage.ts";
import { NAMESPACE, ROLLOUT, type Scene, type StoryResult, tellStory } from "./story.ts";
import { endingOf } from "./summary.ts";

/** The story has to end within this time. */
const HARD_STOP_MS = 180_000;
const DEFAULT_STATE = ".weir";

interface QuickstartFlags {
  readonly exit?: boolean;
  readonly state: string;
}

/** Adds the command. */
export function addQuickstart(program: Command, cli: Cli): void {
  program
    .command("quickstart")
    .description("see a good version promoted and a bad one aborted, under load, in about a minute")
    .option("--exit", "end after the summary")
    .option("--state <dir>", "folder of the state", DEFAULT_STATE)
    .action((flags: QuickstartFlags) => run(cli, flags));
}

async function run(cli: Cli, flags: QuickstartFlags): Promise<void> {
  const stateDir = resolve(flags.state);
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  const logFile = join(stateDir, "weir.log");
  let logging = Promise.resolve();
  const log = createLogger({
    write: (line) => {
      // A log that cannot be written must not end the story.
      logging = logging.then(() => appendFile(logFile, `${line}\n`)).catch(() => undefined);
    },
  });
  const local = await startLocal({ stateDir, clock: systemClock, log });
  try {
    const limit = AbortSignal.timeout(HARD_STOP_MS);
    const result = await perform(cli, local, AbortSignal.any([cli.signal, limit])).catch((error: unknown) => {
      if (!cli.signal.aborted)
        tellFailure(
          cli,
          limit.aborted ? `not done after ${HARD_STOP_MS / 1000} s` : messageOf(error),
          error,
          logFile,
        );
      return undefined;
    });
    if (result === undefined || cli.signal.aborted) return cli.exitWith(cli.signal.aborted ? 130 : 1);
    const { lines, faults } = endingOf(result.facts);
    for (const line of ["", ...lines]) cli.out(line);
    if (faults.length > 0) cli.exitWith(1);
    if (flags.exit === true) return;
    for (const line of invitation(cli, flags.state, local, result.ports, logFile)) cli.out(line);
    await untilAborted(cli.signal);
  } finally {
    if (flags.exit !== true) cli.err("stopping pods and server");
    await local.stop({ keepPods: false });
    await logging;
  }
}

/** Tells the story and draws what happens. */
async function perform(cli: Cli, local: Local, signal: AbortSignal): Promise<StoryResult> {
  const over = new AbortController();
  const stage = createStage(cli, systemClock.nowMs());
  const watching = follow(local, stage, AbortSignal.any([signal, over.signal]));
  try {
    const onScene = (scene: Scene): void => stage.take(scene);
    return await tellStory({ client: local.client, clock: systemClock, signal, onScene });
  } finally {
    over.abort();
    await watching;
    stage.close();
  }
}

async function follow({ client }: Local, stage: Stage, signal: AbortSignal): Promise<void> {
  for await (const parts of watchParts(client, NAMESPACE, ROLLOUT, signal)) {
    if (signal.aborted) return;
    stage.show(parts === undefined ? undefined : parts);
  }
}

function tellFailure(cli: Cli, why: string, error: unknown, logFile: string): void {
  cli.err(`the story did not come to its end: ${why}`);
  cli.err(`weir's log is ${logFile}`);
  if (!isWeirError(error, CLI_ERRORS.environment) && error instanceof Error) cli.err(error.stack ?? "");
}

function invitation(
  cli: Cli,
  state: string,
  local: Local,
  ports: readonly number[],
  logFile: string,
): string[] {
  const weir = `${calledAs(cli.env)} `;
  const at = state === DEFAULT_STATE ? " --state .weir" : ` --state ${state}`;
  return [
    "",
    "everything stays up until Ctrl-C. In another terminal, in this folder:",
    `  ${weir}get ${RESOURCES.rollout.singular} ${ROLLOUT} -w${at}`,
    `  ${weir}explain ${ROLLOUT}${at}`,
    `  ${weir}apply -f deploy/examples/quickstart/base/rollout.yaml${at}`,
    `  ${weir}promote ${ROLLOUT} --full${at}`,
    ...ports.map((port) => `  curl -H "Host: ${ROLLOUT}" http://127.0.0.1:${port}/`),
    `  kubectl --kubeconfig ${local.kubeconfig} get rollouts,pods`,
    "",
    `API server ${local.server} · kubeconfig ${local.kubeconfig} · xDS ${local.xdsAddress} · log ${logFile}`,
  ];
}
