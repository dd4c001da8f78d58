// Own writes hold decisions back until the caches show them.
import { test } from "tap";
import { createFreshness, FORGET_MS } from "../../src/controller/freshness.ts";

test("freshness: a cache older than an own write is not decided upon", async (t) => {
  const freshness = createFreshness();
  freshness.wrote("shop/web", "ReplicaSet/shop/web-1", "100", 0);
  const holding = (version: string | undefined) => freshness.isFresh("shop/web", () => version, 1);
  t.equal(holding("99"), false);
  t.equal(holding(undefined), false, "a created object that is not there yet");
  t.equal(
    freshness.isFresh("shop/other", () => undefined, 1),
    true,
    "other keys go on",
  );
  t.equal(holding("100"), true);
  t.equal(holding("99"), true, "what was seen once is forgotten");
});

test("freshness: versions compare as numbers, not as text", async (t) => {
  const freshness = createFreshness();
  freshness.wrote("shop/web", "o", "99", 0);
  t.equal(
    freshness.isFresh("shop/web", () => "100", 1),
    true,
  );
});

test("freshness: a deletion is waited for, and a write that never shows is forgotten in time", async (t) => {
  const freshness = createFreshness();
  freshness.wrote("shop/web", "o", undefined, 0);
  t.equal(
    freshness.isFresh("shop/web", () => "5", 1),
    false,
  );
  t.equal(
    freshness.isFresh("shop/web", () => "5", FORGET_MS),
    true,
  );
});
