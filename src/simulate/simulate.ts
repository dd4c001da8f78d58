// The door of simulate/: the model of a cluster around one Rollout, and scripts that are run in it, in virtual time.
import type { KubeObject } from "../api/api.ts";
import { worldOfFiles } from "./files.ts";
import { playScript } from "./script.ts";
import { clockText } from "./show.ts";
import { timelineOf } from "./timeline.ts";

export { DEFAULT_NAMESPACE, namespaceOf, worldOfFiles } from "./files.ts";

export interface Simulation {
  /**
   * The script with what weir did after each command, in rows as they come; a script again. Often no row at all: then some work was done.
   * Throws WEIR_ERR_SIMULATE_SCRIPT, with file and line, where the script is wrong.
   */
  readonly rows: Iterable<readonly string[]>;
  readonly soFar: () => SoFar;
}

/** How far a simulation has come. */
export interface SoFar {
  /** One line for every state, with when it was reached. */
  readonly timeline: readonly string[];
  /** How often weir decided. */
  readonly decisions: number;
  /** The time that has passed, as in the rows. */
  readonly clock: string;
}

/** Runs `script` on the Rollout and the objects around it, as fast as its rows are asked for. */
export function simulate(
  rollout: KubeObject,
  objects: readonly KubeObject[],
  script: { readonly file: string; readonly text: string },
): Simulation {
  const world = worldOfFiles(rollout, objects);
  return {
    rows: playScript(script.text, { file: script.file, world }),
    soFar: () => ({
      timeline: timelineOf(world),
      decisions: world.decisions,
      clock: clockText(world.nowMs),
    }),
  };
}
