// The flag that makes the controller ask AWS: what it needs is said before anything begins, and nobody else pays for AWS's SDK.
import { registerHooks } from "node:module";
import { join } from "node:path";
import { test } from "tap";
import { run } from "../support/up.ts";

const LAUNCHER = join(import.meta.dirname, "../../src/weir.js");
/** Nothing of the machine's own settings. */
const NO_AWS = { AWS_REGION: "", AWS_DEFAULT_REGION: "", AWS_PROFILE: "", AWS_CONFIG_FILE: "/dev/null" };

test("aws flag: without a region the controller does not begin, and says which variable to set", async (t) => {
  const command = [process.execPath, LAUNCHER, "controller", "--aws-verify-target-group"];
  const { code, stderr } = await run(command, "", NO_AWS);
  t.equal(code, 1);
  t.match(stderr, "no AWS region is configured: set AWS_REGION, or leave out --aws-verify-target-group");
});

test("aws flag: an API version has a group", async (t) => {
  const flag = "--aws-target-group-binding-api-version=v1beta1";
  const { code, stderr } = await run([process.execPath, LAUNCHER, "controller", flag]);
  t.equal(code, 2);
  t.match(stderr, "a group with its version looks like elbv2.k8s.aws/v1beta1");
});

test("aws flag: the SDK is loaded with the first client, and not with the controller", async (t) => {
  let loaded = 0;
  const hooks = registerHooks({
    resolve(specifier, context, next) {
      if (specifier.startsWith("@aws-sdk/")) loaded += 1;
      return next(specifier, context);
    },
  });
  t.teardown(() => hooks.deregister());
  await import("../../src/cli/controller.ts");
  const { createAwsBalancers } = await import("../../src/controller/controller.ts");
  t.equal(loaded, 0);
  await createAwsBalancers({ config: { region: "eu-central-1" } });
  t.ok(loaded > 0);
});
