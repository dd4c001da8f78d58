// The installed package works: packed, installed into an empty folder, run from there.
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { test } from "tap";
import { AS_USER } from "../support/up.ts";

const execute = promisify(execFile);
const run = (program: string, args: readonly string[], cwd: string) =>
  execute("env", [...AS_USER, program, ...args], { cwd });

test("package: npm pack, npm install and npx weir work in an empty folder", {
  timeout: 300_000,
}, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "weir-package-"));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  await run("npm", ["pack", "--pack-destination", folder], process.cwd());
  const [tarball = ""] = (await readdir(folder)).filter((name) => /^weir-.*\.tgz$/.test(name));
  t.match(tarball, /^weir-\d+\.\d+\.\d+\.tgz$/);
  const user = join(folder, "user");
  await mkdir(user);
  await run("npm", ["install", "--no-audit", "--no-fund", "--prefer-offline", join(folder, tarball)], user);
  const { stdout } = await run("npx", ["weir", "version"], user);
  t.match(stdout, /^weir \d+\.\d+\.\d+ \(node \d+/);
  const refused = await run("npx", ["weir", "status", "web", "--kubeconfig", "gone"], user).catch(
    (error: { readonly code: number; readonly stderr: string }) => error,
  );
  t.match(refused, { code: 1, stderr: /gone/ });
});
