// What a manifest asks for and does not get is told once; what may come by itself only when it has not come.
import { test } from "tap";
import { createProblemTeller, PASSING_MS, type ProblemDeps } from "../../src/controller/problems.ts";
import { silentLogger } from "../../src/lib/log.ts";
import type { Problem } from "../../src/translate/translate.ts";
import { createManualClock } from "../support/clock.ts";

const problem = (field: string, mayPass?: boolean): Problem => ({
  about: "HTTPRoute shop/web",
  field,
  message: "is not there",
  ...(mayPass !== undefined && { mayPass }),
});

test("problems: each is told once, and one that may pass only when it has lasted", async (t) => {
  const clock = createManualClock();
  const told: string[] = [];
  const log = {
    ...silentLogger,
    warn: (_: string, fields: Readonly<Record<string, unknown>> = {}) => void told.push(String(fields.field)),
  };
  const nothing = { store: { get: () => undefined } };
  // Of the caches only their stores are asked, and none holds the object: then there is nothing to put an event on.
  const caches = {
    gateways: nothing,
    httpRoutes: nothing,
    trafficPolicies: nothing,
  } as unknown as ProblemDeps["caches"];
  const events = {
    record: () => Promise.reject(new Error("no object to tell it on")),
  } as unknown as ProblemDeps["events"];
  const teller = createProblemTeller({ caches, clock, events, log });
  teller([problem("a"), problem("late", true), problem("gone", true)]);
  t.strictSame(told, ["a"]);
  teller([problem("a"), problem("late", true)]);
  await clock.advance(PASSING_MS);
  t.strictSame(told, ["a", "late"], "what went meanwhile is never told");
  teller([problem("a"), problem("late", true)]);
  teller([]);
  teller([problem("a")]);
  await clock.advance(PASSING_MS);
  t.strictSame(told, ["a", "late", "a"], "what comes back is told anew");
});
