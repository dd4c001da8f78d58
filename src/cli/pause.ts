// `weir pause ROLLOUT`: hold a rollout where it is until it is promoted.
import type { Command } from "commander";
import type { Cli } from "./cli.ts";
import { addOperation } from "./operate.ts";
import { pauseOperations } from "./operations.ts";

/** Adds the command. */
export function addPause(program: Command, cli: Cli): void {
  addOperation(program, cli, {
    name: "pause",
    description: "hold a rollout where it is until it is promoted",
    plan: () => ({ operations: pauseOperations, done: "paused" }),
  });
}
