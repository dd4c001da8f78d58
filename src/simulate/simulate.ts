// The door of simulate/: the model of a cluster around one Rollout, and scripts that are run in it, in virtual time.
import type { KubeObject } from "../api/api.ts";
import { worldOfFiles } from "./files.ts";
import { runScript } from "./script.ts";
import { timelineOf } from "./timeline.ts";

export { DEFAULT_NAMESPACE, namespaceOf, worldOfFiles } from "./files.ts";

export interface Simulation {
  /** The script with what weir did after each command; a script again. */
  readonly text: string;
  /** One line for every state, with when it was reached. */
  readonly timeline: readonly string[];
  /** How often weir decided. */
  readonly decisions: number;
}

/** Runs `script` on the Rollout and the objects around it. Throws WEIR_ERR_SIMULATE_SCRIPT, with `file` and line, for a script that is wrong. */
export function simulate(
  rollout: KubeObject,
  objects: readonly KubeObject[],
  script: { readonly file: string; readonly text: string },
): Simulation {
  const world = worldOfFiles(rollout, objects);
  const text = runScript(script.text, { file: script.file, world });
  return { text, timeline: timelineOf(world), decisions: world.decisions };
}
