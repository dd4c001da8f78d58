// Metadata of a version's role and the scale subresource, on a real Kubernetes control plane, with the shipped rights alone.
import { test } from "tap";
import { kubectl, poll, startKubernetesScene } from "../support/onkubernetes.ts";
import { tellRoles } from "../support/roles.ts";

test("test bed: metadata reaches living pods and moves with the role, and kubectl scale keeps the split", {
  timeout: 120_000,
}, async (t) => {
  const scene = await startKubernetesScene(t);
  if (scene === undefined) return;
  const controller = await scene.startController("ctl", 18_000);
  const { bed, namespace } = scene;
  await tellRoles(t, {
    client: bed.client,
    namespace,
    apply: (object) => scene.apply(object),
    kubectl: (...args) => kubectl(bed, ["-n", namespace, ...args]),
    poll,
  });
  t.equal(await controller.end("SIGTERM"), 0);
  t.notMatch(controller.output(), /^\S+ (warn|error) |forbidden/im, "no right was missing");
});
