// `weir restart ROLLOUT [--in DURATION]`: have the pods replaced by new ones, as disruption budgets allow.
import { type Command, InvalidArgumentError } from "commander";
import { parseDuration } from "../lib/duration.ts";
import type { Cli } from "./cli.ts";
import { addOperation } from "./operate.ts";
import { restartOperations } from "./operations.ts";

/** Adds the command. */
export function addRestart(program: Command, cli: Cli): void {
  const command = addOperation(program, cli, {
    name: "restart",
    description: "have the pods replaced by new ones, as disruption budgets allow",
    plan(_rollout, options) {
      // As the parser below left it.
      const delay = options.in as Delay | undefined;
      const operations = restartOperations(Date.now() + (delay?.delayMs ?? 0));
      return { operations, done: `restarts in ${delay?.text ?? "0s"}` };
    },
  });
  command.option("-i, --in <duration>", "how long to wait before: 30s, 5m, 1h", delayOf);
}

interface Delay {
  readonly text: string;
  readonly delayMs: number;
}

function delayOf(text: string): Delay {
  const delayMs = parseDuration(text);
  if (delayMs === undefined || delayMs < 0)
    throw new InvalidArgumentError("it must be a duration: 30s, 5m, 1h");
  return { text, delayMs };
}
