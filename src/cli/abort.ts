// `weir abort ROLLOUT`: stop the update and return all traffic to the stable version.
import type { Command } from "commander";
import { WeirError } from "../lib/errors.ts";
import { CLI_ERRORS, type Cli } from "./cli.ts";
import { addOperation, nothingTo } from "./operate.ts";
import { abortOperations, isUpdating } from "./operations.ts";

/** Adds the command. */
export function addAbort(program: Command, cli: Cli): void {
  addOperation(program, cli, {
    name: "abort",
    description: "stop the update and return all traffic to the stable version",
    plan(rollout) {
      // The patch would only make it Degraded: there is no other version to go back to.
      if (!isUpdating(rollout)) {
        const message = nothingTo("abort", rollout.metadata.name);
        throw new WeirError({ code: CLI_ERRORS.noUpdate, source: "user", message });
      }
      return { operations: abortOperations, done: "aborted" };
    },
  });
}
