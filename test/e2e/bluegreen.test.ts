// Blue-green on running proxies: the example's shop under steady load is switched forth, back within the delay, and back by an abort, and
// nobody's request fails; the preview's host leads to the new version before anybody else meets it.
import { readFile } from "node:fs/promises";
import { request as send } from "node:http";
import { test } from "tap";
import { RESOURCES, readRollout } from "../../src/api/api.ts";
import { connectCluster } from "../../src/cluster/client.ts";
import { until, untilServing } from "../crash/bed.ts";
import { type Load, startLoad } from "../crash/load.ts";
import { freePorts } from "../support/ports.ts";
import { startUp, stateFolder } from "../support/up.ts";

const namespace = "default";
const WAIT_MS = 30_000;

/** The example with another port, for an image of that tag. */
async function manifests(port: number, tag: string): Promise<string> {
  const text = await readFile("deploy/examples/blue-green/shop.yaml", "utf8");
  return text.replace("port: 8014", `port: ${port}`).replace("rollouts-demo:blue", `rollouts-demo:${tag}`);
}

/** Without a preview or a pause: switched as soon as its pods are there, and analysed then, to its disadvantage. */
async function doomed(port: number, tag: string): Promise<string> {
  const text = await manifests(port, tag);
  const gate = "postPromotionAnalysis: { templates: [{ templateName: never }] }";
  return `${NEVER}\n---\n${text.replace("autoPromotionEnabled: false", gate).replace("previewService: shop-preview", "")}`;
}

/** Looks after a second, and is not pleased by any number of requests. */
const NEVER = `
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: { name: never }
spec:
  metrics:
    - name: requests
      count: 1
      initialDelay: 1s
      successCondition: result < 0
      provider:
        plugin: { weir.dev/traffic: { metric: requests, version: canary, since: step } }`;

/** The version that answers `host`. */
function versionAt(port: number, host: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = send({ host: "127.0.0.1", port, headers: { host } }, (response) => {
      response.resume();
      resolve(String(response.headers["x-version"] ?? response.statusCode));
    });
    request.on("error", reject);
    request.end();
  });
}

/** What has been answered since the load was last asked. */
function countSince(load: Load): () => ReadonlyMap<string, number> {
  let before = new Map<string, number>();
  return () => {
    const now = new Map(load.result().answers);
    const counts = [...now].map(([tag, sum]): [string, number] => [tag, sum - (before.get(tag) ?? 0)]);
    before = now;
    return new Map(counts.filter(([, sum]) => sum > 0));
  };
}

test("blue-green: the active Service is switched on the proxies and no request fails", {
  timeout: 150_000,
}, async (t) => {
  const up = await startUp(await stateFolder(t));
  const [port] = await freePorts();
  const { client, close } = await connectCluster({ kubeconfig: up.kubeconfig, env: {} });
  t.teardown(close);
  const apply = async (tag: string): Promise<void> => {
    const { code, stderr } = await up.weir(["apply", "-f", "-"], await manifests(port, tag));
    t.equal(code, 0, stderr);
  };
  const status = async () => {
    const object = await client.get(RESOURCES.rollout, { namespace, name: "shop" });
    return object === undefined ? undefined : readRollout(object).value.status;
  };
  const reached = (words: string, isIt: (seen: NonNullable<Awaited<ReturnType<typeof status>>>) => boolean) =>
    until(words, WAIT_MS, async () => {
      const seen = await status();
      return seen !== undefined && isIt(seen) ? seen : undefined;
    });
  const settled = (words: string) =>
    reached(words, (seen) => seen.phase === "Healthy" && seen.stableRS === seen.currentPodHash);
  const active = () => versionAt(port, "anybody");

  await apply("blue");
  t.match(await up.weir(["status", "shop", "--timeout", "60s"]), { code: 0 });
  await untilServing([port]);
  await until("blue answers", WAIT_MS, async () => ((await active()) === "blue" ? true : undefined));
  const load = startLoad([port, port], 200);
  const since = countSince(load);

  // The preview alone meets the new version while the Rollout is paused.
  await apply("green");
  await reached("green is paused before the switch", ({ phase }) => phase === "Paused");
  await until("the preview leads to green", WAIT_MS, async () =>
    (await versionAt(port, "preview.shop")) === "green" ? true : undefined,
  );
  t.strictSame([...since().keys()], ["blue"], "nobody else meets green");

  // The switch: it is stable only when the proxies follow.
  t.match(await up.weir(["promote", "shop"]), { code: 0 });
  const promoted = await settled("green is stable");
  t.equal(promoted.blueGreen?.activeSelector, promoted.currentPodHash);
  t.equal(await active(), "green", "a healthy Rollout's proxies follow");
  since();
  await until("all of the traffic is green's", WAIT_MS, async () => (since().has("blue") ? undefined : true));

  // Within the delay the way back is open at once.
  await apply("blue");
  const back = await settled("blue is stable again");
  t.equal(back.duration?.completionStatus, "FastRolledBack");
  t.equal(await active(), "blue");

  // An abort after the switch, for what the proxies have counted: Service and proxies go back. Without a preview no Service selects the
  // new version before the switch, and none the old one after it.
  since();
  t.match(await up.weir(["apply", "-f", "-"], await doomed(port, "yellow")), { code: 0 });
  const aborted = await reached("yellow is aborted", ({ phase }) => phase === "Degraded");
  t.match(
    aborted.message,
    /Blue\/green post-promotion analysis phase error\/failed: Metric "requests" assessed Failed/,
  );
  t.equal(aborted.stableRS, back.currentPodHash);
  await until("blue answers again", WAIT_MS, async () => ((await active()) === "blue" ? true : undefined));
  t.ok((since().get("yellow") ?? 0) > 0, "yellow had the traffic for a while");

  const { failures, sent } = await load.stop();
  t.strictSame(failures, [], "no request failed");
  t.ok(sent > 100, `${sent} requests`);
});
