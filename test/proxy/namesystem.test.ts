// Host names of endpoints by the machine's own resolver and a real DNS server: this file runs itself once more, with a network and a resolv.conf
// of its own, in which namesystem.inside.ts has the tests.
import { spawnSync } from "node:child_process";
import { test } from "tap";
import { requireOwnNamespaces, requireTool } from "../support/require.ts";

const RESOLV = "nameserver 127.0.0.1\nsearch shop.test\noptions timeout:1 attempts:1 ndots:2\n";
const SETUP = [
  "set -e",
  "ip link set lo up",
  'file=$(mktemp); printf "$1" > "$file"',
  'mount --bind "$file" /etc/resolv.conf',
  'rm "$file"; shift; exec "$@"',
].join("\n");

if (process.env.WEIR_TEST_INSIDE === undefined)
  test("names: the machine's resolver and a real DNS server, in namespaces of their own", async (t) => {
    const command = await requireOwnNamespaces(t);
    if (command === undefined || (await requireTool(t, "ip")) === undefined) return;
    const [unshare = "", ...args] = command;
    const inner = [
      "sh",
      "-c",
      SETUP,
      "sh",
      RESOLV,
      process.execPath,
      ...process.execArgv,
      import.meta.filename,
    ];
    const env = { ...process.env, WEIR_TEST_INSIDE: "1", TAP: "1" };
    const { status, stdout, stderr } = spawnSync(unshare, [...args, ...inner], {
      env,
      encoding: "utf8",
      timeout: 150_000,
    });
    const failed = stdout.split("\n").filter((line) => /^\s*not ok/.test(line));
    t.strictSame(failed, []);
    t.equal(status, 0, status === 0 ? "its tests pass" : `${stdout}\n${stderr}`.slice(-4000));
  });
else await import("./namesystem.inside.ts");
