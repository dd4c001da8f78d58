// `weir status NAME`: waits until the Rollout is Healthy (exit code 0), Degraded (1) or the time is over (1),
// printing each change; 130 when it is interrupted before.
import type { Command } from "commander";
import { RESOURCES } from "../api/api.ts";
import { parseDuration } from "../lib/duration.ts";
import { WeirError } from "../lib/errors.ts";
import { CLI_ERRORS, type Cli } from "./cli.ts";
import { type ClusterFlags, type Connected, getOrFail, withCluster, withClusterFlags } from "./cluster.ts";
import { INTERRUPTED } from "./outside.ts";
import { phaseSeen } from "./rolloutview.ts";
import { readParts, watchParts } from "./watchrollout.ts";

interface StatusFlags extends ClusterFlags {
  readonly watch: boolean;
  readonly timeout: string;
}

/** Adds the command. */
export function addStatus(program: Command, cli: Cli): void {
  const command = program
    .command("status <rollout>")
    .description("wait until a rollout is healthy or degraded, and say so by the exit code")
    .option("-w, --watch", "wait (the default)", true)
    .option("--no-watch", "print the present status and do not wait")
    .option("-t, --timeout <duration>", "give up after this time, such as 90s; 0s never", "0s");
  withClusterFlags(command).action((word: string, flags: StatusFlags) =>
    withCluster(cli, flags, async (connection) => {
      const name = word.replace(/^(rollouts?|ro)\//, "");
      await getOrFail(connection, RESOURCES.rollout, name, cli.signal);
      if (flags.watch) return wait(cli, connection, name, timeoutOf(flags.timeout));
      const parts = await readParts(connection.client, connection.namespace, name, cli.signal);
      if (parts === undefined) return;
      const { phase, message } = phaseSeen(parts.rollout);
      cli.out(lineOf(phase, message));
      if (phase === "Degraded") cli.exitWith(1);
    }),
  );
}

async function wait(
  cli: Cli,
  { client, namespace }: Connected,
  name: string,
  timeoutMs: number,
): Promise<void> {
  const limit = timeoutMs > 0 ? AbortSignal.timeout(timeoutMs) : undefined;
  const signal = limit === undefined ? cli.signal : AbortSignal.any([cli.signal, limit]);
  let said = "";
  for await (const parts of watchParts(client, namespace, name, signal)) {
    if (signal.aborted) break;
    if (parts === undefined) throw failed(CLI_ERRORS.notFound, `rollout "${name}" is gone`);
    const { phase, message } = phaseSeen(parts.rollout);
    const line = lineOf(phase, message);
    if (line !== said) cli.out(line);
    said = line;
    if (phase === "Healthy") return;
    if (phase === "Degraded") throw failed(CLI_ERRORS.timeout, `rollout "${name}" is degraded: ${message}`);
  }
  // Nobody may take a wait that was broken off for a rollout that is healthy.
  if (cli.signal.aborted) return cli.exitWith(INTERRUPTED);
  throw failed(
    CLI_ERRORS.timeout,
    `rollout "${name}" was neither healthy nor degraded in time; last seen: ${said}`,
  );
}

function lineOf(phase: string, message: string): string {
  return message === "" ? phase : `${phase} - ${message}`;
}

function timeoutOf(text: string): number {
  const timeoutMs = parseDuration(text);
  if (timeoutMs !== undefined && timeoutMs >= 0) return timeoutMs;
  throw failed(CLI_ERRORS.usage, `--timeout ${text} is not a duration such as 90s or 5m`);
}

function failed(code: string, message: string): WeirError {
  return new WeirError({ code, source: "user", message });
}
