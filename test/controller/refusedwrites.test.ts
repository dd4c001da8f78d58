// What the API refuses to create for good is kept for the next pass, and only that.
import { test } from "tap";
import { CLUSTER_ERRORS } from "../../src/cluster/client.ts";
import { createRefusedWrites } from "../../src/controller/refusedwrites.ts";
import type { Action } from "../../src/engine/decide.ts";
import { WeirError } from "../../src/lib/errors.ts";

const object = { apiVersion: "apps/v1", kind: "ReplicaSet", metadata: { name: "duel-a" } };
const create: Action = { kind: "createReplicaSet", namespace: "n", name: "duel-a", object, reason: "" };
const remove: Action = { kind: "deleteService", namespace: "n", name: "duel-a", uid: "u", reason: "" };
const error = (code: string) => new WeirError({ code, message: "exceeded quota", source: "user" });

test("refused writes: a creation that was forbidden or invalid is told until a pass succeeds", async (t) => {
  for (const code of [CLUSTER_ERRORS.forbidden, CLUSTER_ERRORS.invalid]) {
    const refused = createRefusedWrites();
    refused.failed("experiment n/duel", create, error(code));
    t.strictSame(refused.of("experiment n/duel"), [
      { kind: "ReplicaSet", name: "duel-a", message: "exceeded quota" },
    ]);
    t.strictSame(refused.of("experiment n/other"), []);
    refused.told("experiment n/duel");
    t.strictSame(refused.of("experiment n/duel"), []);
  }
});

test("refused writes: what may succeed the next time is tried again, and so is all but a creation", async (t) => {
  const refused = createRefusedWrites();
  refused.failed("k", create, error(CLUSTER_ERRORS.unavailable));
  refused.failed("k", create, error(CLUSTER_ERRORS.conflict));
  refused.failed("k", create, new TypeError("no"));
  refused.failed("k", remove, error(CLUSTER_ERRORS.forbidden));
  refused.failed("k", undefined, error(CLUSTER_ERRORS.invalid));
  t.strictSame(refused.of("k"), []);
});
