// The API contract on the real API server, with its controller manager.
import { test } from "tap";
import { RESOURCES } from "../../src/api/api.ts";
import { startTestBed } from "../support/testbed.ts";
import { runConformance } from "./suite.ts";

test("kubernetes API server", async (t) => {
  const bed = await startTestBed(t, { hasControllers: true });
  if (bed === undefined) return;
  await runConformance(t, {
    client: bed.client,
    acceptsLoopbackEndpoints: false,
    namespace: () => bed.namespace("conformance"),
    async expiredVersion() {
      const { resourceVersion } = await bed.client.list(RESOURCES.configMap);
      await bed.namespace(); // moves the version on: its new cache begins later than what was listed
      await bed.killApiServer();
      await bed.startApiServer();
      return resourceVersion;
    },
  });
});
