// The annotations by which a Rollout says how it aborts: read, defaulted, refused.
import { test } from "tap";
import {
  abortSettingErrors,
  crashLoopLimitOf,
  fieldErrorText,
  gradualAbortOf,
  type Rollout,
  readRollout,
} from "../../src/api/api.ts";
import { rolloutManifest } from "../support/world.ts";

function annotated(annotations: Readonly<Record<string, string>>): Rollout {
  const manifest = rolloutManifest({});
  return readRollout({ ...manifest, metadata: { ...manifest.metadata, annotations } }).value;
}

test("abort settings: without an annotation an abort is Argo's", async (t) => {
  t.equal(gradualAbortOf(annotated({})), undefined);
  t.equal(crashLoopLimitOf(annotated({})), undefined);
  t.strictSame(abortSettingErrors(annotated({})), []);
});

test("abort settings: what is not written has its default when the other is", async (t) => {
  const rows: [annotations: Readonly<Record<string, string>>, stepPercent: number, intervalMs: number][] = [
    [{ "weir.dev/abort-step": "25" }, 25, 10_000],
    [{ "weir.dev/abort-step": "25%" }, 25, 10_000],
    [{ "weir.dev/abort-interval": "1m30s" }, 20, 90_000],
    [{ "weir.dev/abort-step": "100", "weir.dev/abort-interval": "1s" }, 100, 1000],
  ];
  for (const [annotations, stepPercent, intervalMs] of rows) {
    t.strictSame(gradualAbortOf(annotated(annotations)), { stepPercent, intervalMs });
    t.strictSame(abortSettingErrors(annotated(annotations)), []);
  }
  t.equal(crashLoopLimitOf(annotated({ "weir.dev/abort-after-crashes": "5" })), 5);
});

test("abort settings: what cannot be meant is refused by name", async (t) => {
  const rows: [key: string, value: string, words: string][] = [
    ["weir.dev/abort-step", "0", "must be a whole percentage from 1 to 100"],
    ["weir.dev/abort-step", "101", "must be a whole percentage from 1 to 100"],
    ["weir.dev/abort-step", "2.5", "must be a whole percentage from 1 to 100"],
    ["weir.dev/abort-interval", "30", "must be a duration from 1s to 1h, such as 30s"],
    ["weir.dev/abort-interval", "500ms", "must be a duration from 1s to 1h, such as 30s"],
    ["weir.dev/abort-interval", "2h", "must be a duration from 1s to 1h, such as 30s"],
    ["weir.dev/abort-after-crashes", "1", "must be a whole number of 2 or more"],
    ["weir.dev/abort-after-crashes", "many", "must be a whole number of 2 or more"],
  ];
  for (const [key, value, words] of rows) {
    const [error, ...more] = abortSettingErrors(annotated({ [key]: value }));
    t.strictSame(more, []);
    const text = `metadata.annotations[${key}]: Invalid value: "${value}": ${words}`;
    t.equal(error === undefined ? "" : fieldErrorText(error), text);
  }
});
