// What weir's router holds against steps that set routes, and the names of routes in the proxies.
import { test } from "tap";
import {
  fieldErrorText,
  isOfManagedRoute,
  managedRouteSuffix,
  readRollout,
  rolloutErrors,
} from "../../src/api/api.ts";
import { CAPABILITIES } from "../../src/routers/routers.ts";

const errorsOf = (
  steps: readonly unknown[],
  plugins: unknown = { "weir.dev/proxy": {} },
): readonly string[] => {
  const rollout = readRollout({
    apiVersion: "argoproj.io/v1alpha1",
    kind: "Rollout",
    metadata: { name: "web", namespace: "default" },
    spec: {
      selector: { matchLabels: { app: "web" } },
      template: { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "a", image: "b" }] } },
      strategy: {
        canary: {
          stableService: "web",
          canaryService: "web-canary",
          trafficRouting: { plugins, managedRoutes: [{ name: "beta" }] },
          steps,
        },
      },
    },
  }).value;
  return rolloutErrors(rollout, CAPABILITIES).map(fieldErrorText);
};
const header = (headerName: string, headerValue: unknown) => ({
  setHeaderRoute: { name: "beta", match: [{ headerName, headerValue }] },
});

test("managed routes: what the router can carry out has no errors", async (t) => {
  const match = [{ method: { exact: "GET" }, path: { prefix: "/a" }, headers: { "x-a": { regex: "b+" } } }];
  const steps = [
    header("X-Group", { exact: "b" }),
    header("Cookie", { regex: "(.*; ?)?group=b(;.*)?" }),
    { setHeaderRoute: { name: "beta" } },
    { setMirrorRoute: { name: "beta", match, percentage: 0 } },
    { setMirrorRoute: { name: "beta" } },
  ];
  t.strictSame(errorsOf(steps), []);
});

test("managed routes: a pattern that is none, a name that no header has, a percentage beyond 100", async (t) => {
  const at = "spec.strategy.steps[0]";
  t.match(errorsOf([header("x", { regex: "(" })]), [
    `${at}.setHeaderRoute.match[0].headerValue.regex: Invalid value: "(": is no pattern in RE2's syntax`,
  ]);
  t.strictSame(errorsOf([header("x y", { exact: "b" })]), [
    `${at}.setHeaderRoute.match[0].headerName: Invalid value: "x y": is no name of a header`,
  ]);
  const match = [{ path: { regex: "[" } }];
  t.match(errorsOf([{ setMirrorRoute: { name: "beta", match, percentage: 101 } }]), [
    `${at}.setMirrorRoute.match[0].path.regex: Invalid value: "[": is no pattern`,
    `${at}.setMirrorRoute.percentage: Invalid value: 101: goes from 0 to 100`,
  ]);
});

test("managed routes: their names in the proxies tell them apart from rules and from one another", async (t) => {
  t.equal(managedRouteSuffix("beta"), "~beta");
  t.equal(managedRouteSuffix("a/b~c\n"), "~a%2Fb%7Ec%0A");
  t.ok(isOfManagedRoute("default/web/0~beta", "beta"));
  t.ok(isOfManagedRoute("default/web:80~dark~beta.12", "beta"));
  t.notOk(isOfManagedRoute("default/web/0~beta.1x", "beta"));
  t.notOk(isOfManagedRoute("default/beta/0", "beta"));
});
