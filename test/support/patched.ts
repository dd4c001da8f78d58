// What a router's objects are once its writes are done.
import type { KubeObject } from "../../src/api/api.ts";
import type { Patch } from "../../src/routers/routers.ts";
import { written } from "../../src/simulate/routing.ts";

/** `observed` with `patches` carried out. */
export function applied(observed: readonly KubeObject[], patches: readonly Patch[]): readonly KubeObject[] {
  const objects = new Map(observed.map((object) => [object.metadata.name, object]));
  for (const patch of patches) objects.set(patch.name.name, written(objects, patch));
  return [...objects.values()];
}
