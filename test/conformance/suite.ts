// The contract of the API that weir relies on, as cases over the cluster client. Every case runs against every server; where a
// server differs on purpose, Server names the exemption.
import type { Test } from "tap";
import { APPLYING } from "./applying.ts";
import { KINDS } from "./kinds.ts";
import { OWNERS } from "./owners.ts";
import { PATCHES } from "./patches.ts";
import { READS } from "./reads.ts";
import type { Server } from "./scene.ts";
import { EXPIRY, WATCHES } from "./watches.ts";
import { WRITES } from "./writes.ts";

/** Runs all cases as subtests of `t`. */
export async function runConformance(t: Test, server: Server): Promise<void> {
  for (const one of [
    ...WRITES,
    ...READS,
    ...PATCHES,
    ...WATCHES,
    ...OWNERS,
    ...KINDS,
    ...APPLYING,
    ...EXPIRY,
  ]) {
    await t.test(`conformance: ${one.name}`, async (t) => {
      await one.run(t, { server, client: server.client, namespace: await server.namespace() });
    });
  }
}
