// Host names of endpoints by the machine's own resolver and a real DNS server: this file runs itself once more, with a network and a resolv.conf
// of its own, in which namesystem.inside.ts has the tests.
import { spawnSync } from "node:child_process";

const RESOLV = "nameserver 127.0.0.1\nsearch shop.test\noptions timeout:1 attempts:1 ndots:2\n";
const SETUP = [
  "set -e",
  "ip link set lo up",
  'file=$(mktemp); printf "$1" > "$file"',
  'mount --bind "$file" /etc/resolv.conf',
  'rm "$file"; shift; exec "$@"',
].join("\n");

if (process.env.WEIR_TEST_INSIDE === undefined) {
  const command = [process.execPath, ...process.execArgv, import.meta.filename];
  const { status } = spawnSync(
    "unshare",
    ["--net", "--mount", "--map-root-user", "sh", "-c", SETUP, "sh", RESOLV, ...command],
    {
      stdio: "inherit",
      env: { ...process.env, WEIR_TEST_INSIDE: "1" },
    },
  );
  process.exitCode = status ?? 1;
} else await import("./namesystem.inside.ts");
