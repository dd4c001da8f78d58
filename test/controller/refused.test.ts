// A ReplicaSet that the API refuses: the status says so, the controller tries again by itself, and goes on when it is taken.
import { test } from "tap";
import { CLUSTER_ERRORS } from "../../src/cluster/client.ts";
import { WeirError } from "../../src/lib/errors.ts";
import { controllerBed } from "./bed.ts";

test("refused: a quota shows in the status, and its end is noticed without any event", {
  timeout: 60_000,
}, async (t) => {
  const canary = {
    stableService: undefined,
    canaryService: undefined,
    trafficRouting: undefined,
    scaleDownDelaySeconds: undefined,
    steps: undefined,
  };
  const bed = await controllerBed(t, { replicas: 1, canary });
  const leader = await bed.lead({ isLeading: false });
  await bed.untilRollout("healthy", ({ status }) => status.phase === "Healthy");
  const quota = new WeirError({ code: CLUSTER_ERRORS.forbidden, message: "exceeded quota" });
  leader.fail(({ method, path }) => method === "POST" && path.includes("/replicasets"), quota);
  await bed.image("2");
  const { status } = await bed.untilRollout("the refusal is said", ({ status: { conditions } }) =>
    Boolean(conditions?.some(({ reason }) => reason === "ReplicaSetCreateError")),
  );
  t.match(
    status.conditions?.find(({ type }) => type === "Progressing"),
    { status: "False", message: /^Failed to create new replica set "web-\w+": .*exceeded quota/ },
  );
  t.not(status.phase, "Healthy");
  leader.fail();
  await bed.untilRollout(
    "it goes on",
    ({ status: now }) => now.phase === "Healthy" && now.stableRS === now.currentPodHash,
  );
});
