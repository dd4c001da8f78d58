// Metadata of a version's role and the scale subresource, on a real Kubernetes control plane, with the shipped rights alone; and a Rollout
// whose template only the Rollout's own schema takes.
import { test } from "tap";
import { kubectl, poll, startKubernetesScene } from "../support/onkubernetes.ts";
import { type RolesScene, tellMalformed, tellRoles } from "../support/roles.ts";

test("test bed: roles and scaling, and a template that does not decode", {
  timeout: 150_000,
}, async (t) => {
  const scene = await startKubernetesScene(t);
  if (scene === undefined) return;
  const controller = await scene.startController("ctl", 18_000);
  const { bed, namespace } = scene;
  const roles: RolesScene = {
    client: bed.client,
    namespace,
    apply: (object) => scene.apply(object),
    kubectl: (...args) => kubectl(bed, ["-n", namespace, ...args]),
    poll,
  };
  await tellRoles(t, roles);
  await tellMalformed(t, roles);
  t.equal(await controller.end("SIGTERM"), 0);
  t.notMatch(controller.output(), /^\S+ (warn|error) |forbidden/im, "no right was missing");
});
