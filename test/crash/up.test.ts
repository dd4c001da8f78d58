// `weir up` killed with SIGKILL in the middle of a canary, again and again, at moments that chance chooses. Pods and proxies serve on; what
// is started next goes on where the last one stood: pods are adopted, none is started twice, the rollout ends Healthy, and of all the
// requests sent meanwhile none fails.
import { test } from "tap";
import { connectCluster } from "../../src/cluster/client.ts";
import { freePorts } from "../support/ports.ts";
import { startUp, stateFolder } from "../support/up.ts";
import {
  baseManifests,
  checkEnd,
  KILLS_PER_ROLLOUT,
  pause,
  REPLICAS,
  rolloutManifest,
  rounds,
  seededChance,
  tagOf,
  untilServing,
} from "./bed.ts";
import { startLoad } from "./load.ts";
import { watchProcesses } from "./processes.ts";

const RATE = 100;
const { kills, timeoutMs } = rounds();
const options =
  process.platform === "linux" ? { timeout: timeoutMs } : { skip: "the processes are counted in /proc" };

test("crash: weir up killed in mid-flight goes on where it was, and no request fails", options, async (t) => {
  const chance = seededChance(t);
  const ports = await freePorts();
  const stateDir = await stateFolder(t);
  // Ports of its own: another cluster on this machine may take a default one while this one is down.
  const [apiPort, xdsPort] = await freePorts();
  const start = () => startUp(stateDir, ["--api-port", `${apiPort}`, "--xds-port", `${xdsPort}`]);
  let up = await start();
  t.match(await up.weir(["apply", "-f", "-"], await baseManifests(ports)), { code: 0 });
  t.match(await up.weir(["status", "demo", "--timeout", "40s"]), { code: 0 });
  await untilServing(ports);
  const processes = watchProcesses(stateDir);
  const load = startLoad(ports, RATE);
  t.teardown(() => load.stop());

  let revision = 1;
  for (let left = kills; left > 0; left -= KILLS_PER_ROLLOUT) {
    revision += 1;
    t.match(await up.weir(["apply", "-f", "-"], await rolloutManifest(tagOf(revision))), { code: 0 });
    for (let kill = 0; kill < Math.min(left, KILLS_PER_ROLLOUT); kill += 1) {
      await pause(chance.between(0, 4_000));
      await up.kill("SIGKILL");
      t.comment(`killed after ${load.result().sent} requests`);
      await pause(chance.between(0, 800));
      up = await start();
    }
    const status = await up.weir(["status", "demo", "--timeout", "50s"]);
    if (status.code !== 0) {
      t.comment((await up.weir(["get", "rollout", "demo"])).stdout);
      t.comment((await up.weir(["explain", "demo"])).stdout);
      t.comment(up.output());
    }
    t.match(status, { code: 0 }, `revision ${revision} ends Healthy:\n${status.stdout}${status.stderr}`);
  }

  const result = await load.stop();
  t.same(result.failures, [], "no request fails");
  t.equal(result.retried, 0, "both gateways listen all the time");
  await processes.stop();
  t.same([...processes.doubles], [], "no container runs as two processes");
  t.same(
    [...processes.attempts].filter(([, attempts]) => attempts.size !== 1 || !attempts.has(0)),
    [],
    "no container is started again",
  );
  const gateways = [...processes.attempts.keys()].filter((name) => name.startsWith("gateway-"));
  t.equal(gateways.length, 2, `the two proxies are adopted: ${gateways}`);
  t.equal(processes.attempts.size, 2 + REPLICAS * revision, "as many pods as the revisions need");

  const cluster = await connectCluster({ kubeconfig: up.kubeconfig, env: {} });
  t.teardown(() => cluster.close());
  await checkEnd(t, cluster.client, revision);
  t.equal(await up.kill("SIGTERM"), 0);
});
