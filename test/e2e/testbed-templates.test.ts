// Pod templates on the real API server: what it gives back of a ReplicaSet and of a Deployment means the same as what was written, for
// every default that it fills in.
import { test } from "tap";
import { type KubeObject, podTemplateHash, RESOURCES, type ResourceType } from "../../src/api/api.ts";
import { semanticallyEqualTemplates } from "../../src/api/equaltemplates.ts";
import { isObject } from "../../src/lib/json.ts";
import { RICH_TEMPLATES } from "../support/richtemplates.ts";
import { startTestBed } from "../support/testbed.ts";

const DEPLOYMENT: ResourceType = {
  ...RESOURCES.replicaSet,
  kind: "Deployment",
  plural: "deployments",
  singular: "deployment",
};

test("test bed: a template means the same after the API server has filled it in", {
  timeout: 120_000,
}, async (t) => {
  const bed = await startTestBed(t, { hasCrds: false });
  if (bed === undefined) return;
  const namespace = await bed.namespace();
  let filledIn = 0;
  for (const [index, { name, template }] of RICH_TEMPLATES.entries()) {
    for (const type of [RESOURCES.replicaSet, DEPLOYMENT]) {
      const object: KubeObject = {
        apiVersion: "apps/v1",
        kind: type.kind,
        metadata: { name: `rich-${index}`, namespace },
        spec: { replicas: 0, selector: { matchLabels: { app: "rich" } }, template },
      };
      const stored = await bed.client.create(type, object);
      const back = isObject(stored.spec) ? stored.spec.template : undefined;
      t.ok(semanticallyEqualTemplates(template, back), `${type.kind}: ${name}`, { written: template, back });
      if (podTemplateHash(template) !== podTemplateHash(back)) filledIn += 1;
    }
  }
  t.equal(
    filledIn,
    2 * RICH_TEMPLATES.length,
    "though no hash of what is given back is that of what was written",
  );
});
