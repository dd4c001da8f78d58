// `weir promote ROLLOUT [--full]`: end the pause, or skip the current step; with --full, skip all that is left.
import type { Command } from "commander";
import type { Cli } from "./cli.ts";
import { addOperation } from "./operate.ts";
import { isUpdating, promoteOperations } from "./operations.ts";

/** Adds the command. */
export function addPromote(program: Command, cli: Cli): void {
  const command = addOperation(program, cli, {
    name: "promote",
    description: "end the pause there is, or skip the current step",
    plan(rollout, options) {
      const isFull = options.full === true;
      const { spec, status } = rollout;
      const isHeld = spec.paused === true || (status.pauseConditions ?? []).length > 0;
      if (!isHeld && !isUpdating(rollout)) return { operations: [], done: "" };
      return { operations: promoteOperations(rollout, isFull), done: isFull ? "fully promoted" : "promoted" };
    },
  });
  command.option("--full", "skip all steps, pauses and analyses that are left");
}
