// The commands of the README work as they stand there, and print what is shown.
import { test } from "tap";
import { requireTool } from "./support/require.ts";
import { createScene, walk } from "./support/typed.ts";

test("readme: its commands work as typed and print what is shown", { timeout: 120_000 }, async (t) => {
  if ((await requireTool(t, "curl")) === undefined) return;
  await walk(t, await createScene(t), "README.md");
});
