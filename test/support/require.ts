// What a machine may lack: a test that needs it is skipped with the reason, and fails when WEIR_TEST_REQUIRE_ALL=1 (as CI sets it).

import { spawnSync } from "node:child_process";
import { access, constants } from "node:fs/promises";
import { delimiter, join } from "node:path";
import type { Test } from "tap";

/** Places where tools lie that a plain user's PATH leaves out. */
const MORE_FOLDERS = ["/usr/local/go/bin", "/usr/local/sbin", "/usr/sbin", "/sbin"];

/** The path of a program, or undefined after the test was told that it is skipped (or failed). */
export async function requireTool(t: Test, name: string): Promise<string | undefined> {
  const path = await findTool(name);
  if (path === undefined) lacking(t, `${name} is not installed`);
  return path;
}

/** Whether this process may make network namespaces; otherwise the test is skipped (or failed). */
export async function requireNetworkNamespaces(t: Test): Promise<boolean> {
  if ((await requireTool(t, "ip")) === undefined) return false;
  if (process.platform === "linux" && process.getuid?.() === 0) return true;
  lacking(t, "network namespaces need root");
  return false;
}

/** What makes mount and network namespaces of one's own, as a command; otherwise the test is skipped (or failed). Some systems forbid plain users to. */
export async function requireOwnNamespaces(t: Test): Promise<readonly string[] | undefined> {
  const unshare = await requireTool(t, "unshare");
  if (unshare === undefined) return undefined;
  const command = [unshare, "--net", "--mount", "--map-root-user"];
  const { status, stderr } = spawnSync(unshare, [...command.slice(1), "true"], { encoding: "utf8" });
  if (status === 0) return command;
  lacking(t, `namespaces cannot be made here: ${stderr.trim()}`);
  return undefined;
}

/** Tells the test that something is missing: a skip with the reason, or a failure under WEIR_TEST_REQUIRE_ALL=1. */
export function lacking(t: Test, reason: string): void {
  if (process.env.WEIR_TEST_REQUIRE_ALL === "1") t.fail(`required by WEIR_TEST_REQUIRE_ALL=1: ${reason}`);
  else t.pass(reason, { skip: reason });
}

/** The path of a program in PATH or in the usual places. */
export async function findTool(name: string): Promise<string | undefined> {
  const folders = [
    ...(process.env.PATH ?? "").split(delimiter).filter((folder) => folder !== ""),
    ...MORE_FOLDERS,
  ];
  for (const folder of folders) {
    const path = join(folder, name);
    if (await isExecutable(path)) return path;
  }
  return undefined;
}

/** Whether the file exists and may be run. */
export async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}
