// `weir retry ROLLOUT`: start an aborted update again.
import type { Command } from "commander";
import type { Cli } from "./cli.ts";
import { addOperation } from "./operate.ts";
import { retryOperations } from "./operations.ts";

/** Adds the command. */
export function addRetry(program: Command, cli: Cli): void {
  addOperation(program, cli, {
    name: "retry",
    description: "start an aborted update again",
    plan: () => ({ operations: retryOperations, done: "retried" }),
  });
}
