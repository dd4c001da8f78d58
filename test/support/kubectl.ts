// The kubectl of the test bed: the one that its build made, whatever else the machine has.
import { homedir } from "node:os";
import { join } from "node:path";
import type { Test } from "tap";
import { isExecutable, lacking } from "./require.ts";

const VERSION = "1.36.3";

/** The path of kubectl, or undefined after the test was told that it is skipped (or failed). */
export async function requireKubectl(t: Test): Promise<string | undefined> {
  const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache");
  const folder = process.env.KUBEBUILDER_ASSETS ?? join(cache, "weir", `kubernetes-${VERSION}`);
  const path = join(folder, "kubectl");
  if (await isExecutable(path)) return path;
  lacking(t, `${path} is not there: run test/testbed/build`);
  return undefined;
}
