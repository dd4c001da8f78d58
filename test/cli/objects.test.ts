// Commands against an embedded server: what they print for programs, what they change, what they say is there instead.
import { test } from "tap";
import { parse } from "yaml";
import { RESOURCES } from "../../src/api/api.ts";
import { setImage } from "../../src/cli/set.ts";
import { imagePatch } from "../../src/cli/templates.ts";
import { CLUSTER_ERRORS, createClusterClient } from "../../src/cluster/client.ts";
import { createEmbeddedServer } from "../../src/embedded/embedded.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { silentLogger } from "../../src/lib/log.ts";
import { ROLLOUTS, rollout } from "../embedded/server-support.ts";
import { cliOnServer } from "./onserver.ts";

const GROUP = "/apis/argoproj.io/v1alpha1/namespaces/default";
const KIND = { apiVersion: "argoproj.io/v1alpha1" };

test("get and list -o: the objects as the API has them, alone and as a List", async (t) => {
  const { api, weir } = await cliOnServer(t);
  await api.post(ROLLOUTS, rollout("web"));
  await api.post(ROLLOUTS, rollout("shop"));
  const { body: web } = await api.get(`${ROLLOUTS}/web`);
  const json = await weir("get", "rollout", "web", "-o", "json");
  t.equal(json.code, 0, json.err);
  t.strictSame(JSON.parse(json.out), web);
  t.match(json.out, /^\{\n {4}"/);
  t.strictSame(parse((await weir("get", "rollout/web", "-o", "yaml")).out), web);
  t.equal((await weir("get", "ro", "web", "--output", "name")).out, "rollout.argoproj.io/web");
  for (const args of [
    ["list", "rollouts", "-o", "json"],
    ["get", "rollouts", "-o", "json"],
    ["get", "rollouts", "-A", "-o", "yaml"],
  ]) {
    const { out } = await weir(...args);
    t.match(parse(out), {
      apiVersion: "v1",
      kind: "List",
      items: [{ metadata: { name: "shop" } }, { metadata: { name: "web" }, kind: "Rollout" }],
    });
  }
  t.strictSame(JSON.parse((await weir("list", "experiments", "-o", "json")).out).items, []);
  t.match((await weir("get", "rollouts")).out, /^NAME +STRATEGY[^\n]*\nshop +Canary[^\n]*\nweb +Canary/);
  t.match(await weir("get", "rollouts", "-w"), { code: 2, err: /give a name/ });
  t.match(await weir("get", "rollout", "web", "-w", "-o", "json"), { code: 2, err: /no --output/ });
  t.match(await weir("get", "rollout", "none", "-o", "json"), { code: 1, out: "", err: /no rollout "none"/ });
  t.match(await weir("get", "rollout", "web", "-o", "wide"), { code: 2, err: /json, yaml, name/ });
});

test("terminate: ends an AnalysisRun or an Experiment, and says what is not there", async (t) => {
  const { api, weir } = await cliOnServer(t);
  const provider = { plugin: { "weir.dev/traffic": { metric: "errorRate" } } };
  await api.post(`${GROUP}/analysisruns`, {
    ...KIND,
    kind: "AnalysisRun",
    metadata: { name: "errors" },
    spec: { metrics: [{ name: "errors", provider }] },
  });
  await api.post(`${GROUP}/experiments`, {
    ...KIND,
    kind: "Experiment",
    metadata: { name: "duel" },
    spec: { templates: [] },
  });
  for (const [kind, plural, name] of [
    ["analysisrun", "analysisruns", "errors"],
    ["experiment", "experiments", "duel"],
  ] as const) {
    t.equal((await api.get(`${GROUP}/${plural}/${name}`)).body.spec.terminate, undefined);
    const { code, out, err } = await weir("terminate", kind, name);
    t.strictSame([code, out], [0, `${kind} '${name}' terminated`], err);
    t.match(err, /^server https:\/\//, "a command that writes says where");
    t.equal((await api.get(`${GROUP}/${plural}/${name}`)).body.spec.terminate, true);
    t.match(await weir("terminate", kind, "none"), {
      code: 1,
      out: "",
      err: new RegExp(`no ${kind} "none"`),
    });
  }
  t.match(await weir("terminate", "rollout", "web"), { code: 2, err: /analysisrun, experiment/ });
});

test("retry: runs a terminated Experiment again, and says of a Rollout that is not aborted that there is nothing to do", async (t) => {
  const { api, weir } = await cliOnServer(t);
  const experiments = `${GROUP}/experiments`;
  await api.post(experiments, {
    ...KIND,
    kind: "Experiment",
    metadata: { name: "duel" },
    spec: { templates: [] },
  });
  await weir("terminate", "experiment", "duel");
  t.match(await weir("retry", "experiment", "duel"), { code: 0, out: "experiment 'duel' retried" });
  t.notOk((await api.get(`${experiments}/duel`)).body.spec.terminate, "or it would end again at once");
  await api.post(ROLLOUTS, rollout("web"));
  const idle = await weir("retry", "web");
  t.match(idle, { code: 0, out: "nothing to retry: rollout 'web' is not aborted" });
  await api.patch(`${ROLLOUTS}/web/status`, { status: { abort: true } });
  t.match(await weir("retry", "web"), { code: 0, out: "rollout 'web' retried" });
  t.equal((await api.get(`${ROLLOUTS}/web`)).body.status.abort, false);
});

test("set image and undo: what is not there is told with what is", async (t) => {
  const { api, weir } = await cliOnServer(t);
  await api.post(ROLLOUTS, rollout("web"));
  t.match(await weir("set", "image", "web", "sidecar=x:1"), {
    code: 2,
    err: /unable to find container named "sidecar"; there are: main/,
  });
  t.match(await weir("undo", "web", "--to-revision", "7"), {
    code: 2,
    err: /unable to find specified revision 7 in history; there are none yet/,
  });
});

test("set image: what somebody else writes in the meantime is no conflict for the user, unless it never ends", async (t) => {
  const server = await createEmbeddedServer({
    stateDir: ":memory:",
    clock: systemClock,
    log: silentLogger,
  });
  t.teardown(() => server.close());
  const { signal } = new AbortController();
  const client = createClusterClient(server.transport());
  const ref = { namespace: "default", name: "web" };
  const web = rollout("web");
  await client.create(RESOURCES.rollout, { ...web, metadata: { ...web.metadata, ...ref } });
  let left = 2;
  const disturbed: typeof client = {
    ...client,
    get: async (type, ...rest) => {
      const read = await client.get(type, ...rest);
      const labels = { seen: String(left) };
      if (left-- > 0) await client.patch(type, ref, { type: "merge", body: { metadata: { labels } } });
      return read;
    },
  };
  const set = async (): Promise<void> =>
    setImage(
      { client: disturbed, namespace: "default", server: "", context: undefined, close: async () => {} },
      RESOURCES.rollout,
      (await disturbed.get(RESOURCES.rollout, ref)) ?? web,
      (holder) => imagePatch(holder, "main", "web:2"),
      signal,
    );
  await set();
  const held = await client.get(RESOURCES.rollout, ref);
  t.match(held?.spec, { template: { spec: { containers: [{ name: "main", image: "web:2" }] } } });
  left = 100;
  await t.rejects(set(), { code: CLUSTER_ERRORS.conflict });
  t.equal(left, 95, "five tries");
});
