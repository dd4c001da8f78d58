// Commands that are printed to be typed are spelt the way weir was called.
import { test } from "tap";
import { calledAs } from "../../src/cli/cli.ts";
import { run } from "../support/up.ts";

test("called as: npm scripts, npx and the command itself are told apart", (t) => {
  t.equal(calledAs({}), "weir");
  t.equal(calledAs({ npm_command: "run", npm_lifecycle_event: "weir" }), "npm run -s weir --");
  t.equal(calledAs({ npm_command: "start", npm_lifecycle_event: "start" }), "npm run -s weir --");
  t.equal(calledAs({ npm_command: "exec", npm_lifecycle_event: "npx" }), "npx weir");
  t.end();
});

test("called as: npm says so", async (t) => {
  const { stdout } = await run(["npm", "exec", "-c", "echo $npm_command"]);
  t.match(stdout, /^exec$/m);
});
