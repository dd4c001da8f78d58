// `weir abort ROLLOUT`: stop the update and return all traffic to the stable version.
import type { Command } from "commander";
import type { Cli } from "./cli.ts";
import { addOperation } from "./operate.ts";
import { abortOperations } from "./operations.ts";

/** Adds the command. */
export function addAbort(program: Command, cli: Cli): void {
  addOperation(program, cli, {
    name: "abort",
    description: "stop the update and return all traffic to the stable version",
    plan: () => ({ operations: abortOperations, done: "aborted" }),
  });
}
