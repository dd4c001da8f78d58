// `weir simulate`: the user's own objects, in virtual time; metrics with their own conditions; errors that name the line.
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "tap";
import { stringify } from "yaml";
import { main } from "../../src/cli/main.ts";
import { COMMANDS } from "../../src/simulate/commands.ts";
import { rolloutManifest } from "../../src/simulate/manifest.ts";

const EXAMPLE = "deploy/examples/background-analysis/base.yaml";

interface Outcome {
  readonly code: number;
  readonly text: string;
  readonly err: string;
}

async function weir(...args: readonly string[]): Promise<Outcome> {
  return weirUntil(undefined, ...args);
}

/** Ctrl-C comes with the first line of the output that is `last`. */
async function weirUntil(last: string | undefined, ...args: readonly string[]): Promise<Outcome> {
  const out: string[] = [];
  const err: string[] = [];
  const stopping = new AbortController();
  const io = { env: {}, signal: stopping.signal, write: (text: string) => void out.push(text) };
  const code = await main(args, {
    ...io,
    out: (line) => {
      out.push(line);
      // As a signal comes: not before the simulation lets go.
      if (line === last) setImmediate(() => stopping.abort());
    },
    err: (line) => void err.push(line),
  });
  return { code, text: out.join("\n"), err: err.join("\n") };
}

async function files(
  t: { teardown(work: () => Promise<void>): void },
  named: Readonly<Record<string, string>>,
): Promise<(name: string) => string> {
  const folder = await mkdtemp(join(tmpdir(), "weir-simulate-"));
  t.teardown(() => rm(folder, { recursive: true }));
  for (const [name, text] of Object.entries(named)) await writeFile(join(folder, name), text);
  return (name) => join(folder, name);
}

test("simulate: a background analysis of a user's files aborts when its metric turns bad", async (t) => {
  const at = await files(t, {
    "bad.txt": "metric error-rate 0.01\nimage watched:2\ntick 1m\nmetric error-rate 0.4\ntick 2m\n",
  });
  const { code, text } = await weir("simulate", "-f", EXAMPLE, "--script", at("bad.txt"));
  t.equal(code, 0);
  t.match(text, /> image watched:2\n {2}- createReplicaSet watched-\w+: revision 2/);
  t.match(text, /! TrafficWeightUpdated: Traffic weight updated from 0 to 20/);
  t.match(text, /! AnalysisRunFailed: Background Analysis Run '.*' Status New: 'Failed'/);
  t.match(text, /! RolloutAborted: /);
  t.match(text, /# timeline, \d+ decisions\n# 0s /);
  t.match(text.split("\n").at(-1), /^# 91s +Degraded +step 0\/2 .*RolloutAborted/);
});

test("simulate: runs begin and end as in a cluster though the script answers no metric", async (t) => {
  const at = await files(t, { "mute.txt": "image watched:2\ntick 1m\nabort\n" });
  const { code, text } = await weir("simulate", "-f", EXAMPLE, "--script", at("mute.txt"));
  t.equal(code, 0);
  const [, update = "", abort = ""] = /> image ([\s\S]*)> abort([\s\S]*)# timeline/.exec(text) ?? [];
  t.match(update, /! AnalysisRunRunning: Background .* Status New: 'Running'/);
  t.match(update, /waits: metric error-rate has no answer: /);
  t.match(abort, /- terminateAnalysisRun [\s\S]*! AnalysisRunSuccessful: .* Previous: 'Running'/);
});

test("simulate: tabs, line ends and a byte order mark of other editors lose no command", async (t) => {
  const at = await files(t, { "odd.txt": "\uFEFFimage watched:2\r\n>\ttick\t1m\r\nscale\t 3\r\n" });
  const { code, text } = await weir("simulate", "-f", EXAMPLE, "--script", at("odd.txt"));
  t.equal(code, 0);
  t.match(text, /^> image watched:2$/m);
  t.match(text, /= 00:01:00 Paused/);
  t.match(text, /- scaleReplicaSet watched-\w+ 2 -> 3/);
});

test("simulate: an annotation that is a setting is held against its rule when it comes, and goes without a value", async (t) => {
  const script =
    "setting weir.dev/abort-step 0\nsetting weir.dev/abort-step 10\nsetting weir.dev/abort-step\nshow metadata.annotations\n";
  const at = await files(t, { "settings.txt": script });
  const { code, text } = await weir("simulate", "-f", EXAMPLE, "--script", at("settings.txt"));
  t.equal(code, 0);
  t.match(text, /abort-step 0\n[^>]*= 00:00:00 Degraded \(InvalidSpec: .*abort-step\]: Invalid value: "0"/);
  t.match(text, /abort-step 10\n[^>]*= 00:00:00 Healthy/);
  t.notMatch(/> show[^#]*/.exec(text)?.[0], /abort-step/);
});

test("simulate: a measurement from which nothing follows costs no decision", async (t) => {
  const at = await files(t, {
    "long.txt":
      "metric error-rate 0.01\nimage watched:2\npause\ntick 2h\nexplain\nmetric error-rate 0.4\ntick 2s\n",
  });
  const { code, text } = await weir("simulate", "-f", EXAMPLE, "--script", at("long.txt"));
  t.equal(code, 0);
  t.match(text, /metric: error-rate 7201 measured, last 0\.01/);
  t.match(text, /! AnalysisRunFailed: [\s\S]*= 02:00:02 Degraded/, "what follows from one is decided");
  t.ok(Number(/timeline, (\d+) decisions/.exec(text)?.[1]) < 40);
});

test("simulate: Ctrl-C ends it between two measurements, and what was done until then is told", async (t) => {
  const at = await files(t, {
    "long.txt": "metric error-rate 0.01\nimage watched:2\npause\ntick 720h\nexplain\n",
  });
  const { code, text } = await weirUntil(
    "> tick 720h",
    "simulate",
    "-f",
    EXAMPLE,
    "--script",
    at("long.txt"),
  );
  t.equal(code, 130);
  t.match(
    text,
    /= 00:00:00 Paused[^>]*> tick 720h\n\n# timeline, \d+ decisions, broken off at \d\d:\d\d:\d\d\n/,
  );
  await writeFile(at("again.txt"), `${text}\nabort\n`);
  const { text: again } = await weirUntil(
    "> tick 720h",
    "simulate",
    "-f",
    EXAMPLE,
    "--script",
    at("again.txt"),
  );
  t.equal(again.match(/# timeline/g)?.length, 1, "the output is a script again");
});

test("simulate: what was done before a line that is wrong is told", async (t) => {
  const at = await files(t, { "wrong.txt": "image watched:2\n\ntick 1m\nimagee watched:3\n" });
  const { code, text, err } = await weir("simulate", "-f", EXAMPLE, "--script", at("wrong.txt"));
  t.equal(code, 1);
  t.match(text, /> image watched:2\n[\s\S]*> tick 1m\n {2}= 00:01:00 Paused/);
  t.match(text, /# timeline, \d+ decisions, broken off at 00:01:00\n# 0s /);
  t.notMatch(text, /imagee/);
  t.match(err, /wrong\.txt:4: imagee watched:3: unknown command/);
});

test("simulate: files that apply refuses are not carried out", async (t) => {
  const { metadata, ...rest } = rolloutManifest({ canary: { stesp: [{ setWeight: 20 }] } });
  const at = await files(t, { "bad.yaml": stringify({ metadata, ...rest }) });
  const { code, text, err } = await weir("simulate", "-f", at("bad.yaml"));
  t.equal(code, 1);
  t.equal(text, "");
  t.match(err, /bad\.yaml:\d+:\d+: error: .*stesp[\s\S]*nothing was simulated/);
});

test("simulate: the output is a script that gives itself", async (t) => {
  const at = await files(t, { "a.txt": "# well\nmetric error-rate 0.01\nimage watched:2\ntick 20m\n" });
  const first = await weir("simulate", "-f", EXAMPLE, "--script", at("a.txt"), "--no-timeline");
  await writeFile(at("a.txt"), first.text);
  const second = await weir("simulate", "-f", EXAMPLE, "--script", at("a.txt"), "--no-timeline");
  t.equal(second.text, first.text);
  t.match(first.text, /= 00:20:00 Healthy, step 2\/2, stable 2\/2 100%$/);
});

test("simulate: without a script a new image comes and a day passes", async (t) => {
  const { code, text } = await weir("simulate", "-f", "deploy/examples/canary-replicas");
  t.equal(code, 0);
  t.match(text, /> image simulated:new/);
  t.match(text, /> tick 24h/);
});

test("simulate: a workload of the files is the Rollout's template", async (t) => {
  const { spec, ...rest } = rolloutManifest({ steps: [{ setWeight: 50 }, { pause: {} }] });
  const {
    template,
    selector: _,
    ...own
  } = spec as { readonly template: unknown; readonly selector: unknown };
  const workloadRef = { apiVersion: "apps/v1", kind: "Deployment", name: "web" };
  const deployment = {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "web" },
    spec: { selector: { matchLabels: { app: "web" } }, template },
  };
  const rollout = { ...rest, metadata: { name: "web" }, spec: { ...own, workloadRef } };
  const at = await files(t, {
    "all.yaml": `${stringify(rollout)}---\n${stringify(deployment)}`,
    "alone.yaml": stringify(rollout),
    "s.txt": "image web:2\n",
  });
  const { text } = await weir("simulate", "-f", at("all.yaml"), "--script", at("s.txt"));
  t.match(text, /> image web:2\n {2}- createReplicaSet/);
  const alone = await weir("simulate", "-f", at("alone.yaml"), "--script", at("s.txt"));
  t.match(alone.text + alone.err, /not found|no container/);
});

test("simulate: whatever the numbers, it ends in a bounded time", async (t) => {
  const at = await files(t, {
    "many.txt": "scale 2000000000\n",
    "plain.yaml": stringify(rolloutManifest({})),
  });
  const { code, text } = await weir("simulate", "-f", at("plain.yaml"), "--script", at("many.txt"));
  t.equal(code, 0);
  t.match(text, /stable 2000000000\/2000000000/);
});

test("simulate: what is wrong is said with its file and line, or names what there is", async (t) => {
  const rollout = ({ name }: { readonly name: string }): string => {
    const { metadata, ...rest } = rolloutManifest({ name });
    return stringify({ ...rest, metadata: { name: metadata.name } });
  };
  const at = await files(t, {
    "two.yaml": `${rollout({ name: "a" })}---\n${rollout({ name: "b" })}`,
    "none.yaml": stringify({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "web" } }),
    "broken.yaml": "a: [\n",
    "verb.txt": "# fine\n\ntick 10s\nimagee web:2\n",
    "duration.txt": "tick soon\n",
    "json.txt": "spec {replicas: 1}\n",
    "metric.txt": "metric latency 3\n",
    "ready.txt": "ready canary 1\n",
    "first.txt": "rollout replicas=3\n",
  });
  const words = async (...args: readonly string[]): Promise<string> => {
    const { code, err } = await weir("simulate", ...args);
    t.not(code, 0, args.join(" "));
    return err;
  };
  const script = (name: string): Promise<string> => words("-f", EXAMPLE, "--script", at(name));
  t.match(await script("verb.txt"), /verb\.txt:4: imagee web:2: unknown command; did you mean image\?/);
  t.match(await script("duration.txt"), /duration\.txt:1: tick soon: soon is no duration such as 30s or 2h/);
  t.match(await script("json.txt"), /json\.txt:1: spec \{replicas: 1\}: /);
  t.match(
    await script("metric.txt"),
    /metric\.txt:1: .*no template has a metric latency; there are: error-rate/,
  );
  t.match(await script("first.txt"), /first\.txt:1: .*the Rollout is the one of the files/);
  t.match(await words("-f", at("two.yaml")), /say which with --rollout: default\/a, default\/b/);
  t.match(await words("-f", at("two.yaml"), "--rollout", "c"), /no Rollout c among default\/a, default\/b/);
  t.match(await words("-f", at("none.yaml")), /the files hold no Rollout/);
  t.match(await words("-f", at("broken.yaml")), /broken\.yaml:\d+:\d+: error: is not YAML/);
  t.match(await words(), /say what to simulate/);
  t.match(
    await words("-f", "-", "--script", "-"),
    /standard input holds the files \(`-f -`\) or the script \(`--script -`\), not both/,
  );
  t.match(
    await words("-f", at("two.yaml"), "--rollout", "a", "--script", at("metric.txt")),
    /no template has a metric latency; there is none$/,
  );
  t.equal((await weir("simulate", "-f", at("two.yaml"), "--rollout", "b")).code, 0);
});

test("simulate: of several Rollouts one is named, by its namespace where names are alike, and of one Rollout the last version counts", async (t) => {
  const rollout = (namespace: string, replicas: number): string => {
    const { metadata, ...rest } = rolloutManifest({ name: "web", replicas });
    return stringify({ ...rest, metadata: { name: metadata.name, namespace } });
  };
  const at = await files(t, {
    "versions.yaml": [rollout("a", 1), rollout("a", 3)].join("---\n"),
    "namespaces.yaml": [rollout("a", 1), rollout("b", 2), rollout("b", 3)].join("---\n"),
    "s.txt": "tick 1s\n",
  });
  const run = (file: string, ...more: readonly string[]): Promise<Outcome> =>
    weir("simulate", "-f", at(file), "--script", at("s.txt"), ...more);
  t.match((await run("versions.yaml")).text, /Healthy, stable 3\/3/);
  t.match((await run("versions.yaml", "--rollout", "web")).text, /Healthy, stable 3\/3/);
  for (const more of [[], ["--rollout", "web"]]) {
    const { code, err } = await run("namespaces.yaml", ...more);
    t.equal(code, 2);
    t.match(err, /say which with --rollout: a\/web, b\/web$/);
  }
  t.match((await run("namespaces.yaml", "--rollout", "a/web")).text, /Healthy, stable 1\/1/);
  t.match((await run("namespaces.yaml", "--rollout", "b/web")).text, /Healthy, stable 3\/3/);
});

test("simulate: an argument that does not fit is refused at its line with the form that does", async (t) => {
  const refusal = async (line: string): Promise<string> => {
    const at = await files(t, { "wrong.txt": `image watched:2\n${line}\n` });
    const { code, err } = await weir("simulate", "-f", EXAMPLE, "--script", at("wrong.txt"));
    t.not(code, 0, line);
    return err.slice(err.indexOf("wrong.txt"));
  };
  const cases: Readonly<Record<string, string>> = {
    "scale x": "x is no whole number from 0 on; write: scale N",
    'spec {"replicas":"x"}': 'the API would refuse it: spec.replicas is "x", expected a 32-bit integer',
    "spec 3": "3 is no JSON object; write: spec JSON",
    "promote ful": "ful is not full; write: promote [full]",
    "readiness maybe": "maybe is none of auto, manual; write: readiness auto|manual",
    "ready canary": "N is missing; write: ready stable|canary N",
    "ready cannary 1":
      "cannary is none of stable, canary; did you mean canary?; write: ready stable|canary N",
    "ready canary 99": "there are at most 2 pods of canary",
    "crash canary 0 x": "x is no whole number from 0 on; write: crash stable|canary I N",
    image: "IMAGE is missing; write: image IMAGE",
    "ack now": "now is too much; write: ack",
    "explain extra words": "extra words is too much; write: explain",
    "measure step Failed": "there is no step analysis now",
    "answer Run Soon":
      "Soon is none of Running/30s, Running, Successful, Failed, Error, error, none; write: answer Run|Terminate|Abort ANSWER [WORDS]",
    "template errors": "not with a Rollout of files: it makes an object up: put the object into the files",
  };
  for (const [line, words] of Object.entries(cases))
    t.equal(await refusal(line), `wrong.txt:2: ${line}: ${words}`);
  t.match(
    await refusal("measure background Faild"),
    /did you mean Failed\?; write: measure step\|background/,
  );
});

test("simulate: the version of the files is older than what a script begins with, and may be rolled back to", async (t) => {
  const at = await files(t, {
    "back.txt": "image greeter:2\npromote\ntick 1m\nimage argoproj/rollouts-demo:blue\n",
  });
  const { text } = await weir("simulate", "-f", "deploy/examples/rollback", "--script", at("back.txt"));
  t.match(text, /RolloutCompleted: Rollout completed update to revision 3 .*: Rollback within window/);
  t.match(
    text,
    /^> rollout\n(?: {2}.*\n)* {2}= 00:00:00 Healthy.*\n\n> image greeter:2\n(?: {2}.*\n)* {2}= 00:00:00 Paused/,
  );
  t.match(text, /# 0s +Healthy[^#]*\n# 0s +Healthy[^#]*\n# 60s +Healthy/);
});

test("simulate: a clock that goes on beyond a day", async (t) => {
  const at = await files(t, { "a.txt": "tick 23h\ntick 1h\ntick 49h\n" });
  const { text } = await weir("simulate", "-f", EXAMPLE, "--script", at("a.txt"));
  t.same(text.match(/= .*(?= Healthy)/g)?.slice(1), ["= 23:00:00", "= 1d 00:00:00", "= 3d 01:00:00"]);
});

test("simulate: a metric without an answer is told once, with what would give one", async (t) => {
  const at = await files(t, { "a.txt": "image watched:2\ntick 1m\ntick 2m\n" });
  const { text } = await weir("simulate", "-f", EXAMPLE, "--script", at("a.txt"));
  t.same(text.match(/.*has no answer.*/g), [
    "  waits: metric error-rate has no answer: `metric error-rate VALUE` would give one",
  ]);
});

test("simulate: an output with its timeline is a script that gives itself", async (t) => {
  const at = await files(t, {
    "a.txt": "# well\nmetric error-rate 0.01\nimage watched:2\ntick 20m\n# done\n",
  });
  const first = await weir("simulate", "-f", EXAMPLE, "--script", at("a.txt"));
  await writeFile(at("a.txt"), `${first.text}\n`);
  const second = await weir("simulate", "-f", EXAMPLE, "--script", at("a.txt"));
  t.equal(second.text, first.text);
  t.match(first.text, /# done\n\n# timeline/);
});

const GUIDE = "docs/guides/simulate.md";

test("simulate: the guide's scripts, run as it says, print what it shows", async (t) => {
  const blocks = [...(await readFile(GUIDE, "utf8")).matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)];
  let runs = 0;
  for (const [index, [, , command = ""]] of blocks.entries()) {
    const [, file, name] = /^weir simulate -f (\S+) --script (\S+)\n$/.exec(command) ?? [];
    if (file === undefined || name === undefined) continue;
    runs += 1;
    const at = await files(t, { [name]: blocks[index - 1]?.[2] ?? "" });
    const { code, text } = await weir("simulate", "-f", file, "--script", at(name));
    t.equal(code, 0, name);
    const shown = blocks[index + 1]?.[2]?.trimEnd() ?? "";
    t.equal(text.slice(-shown.length), shown, `the end of ${name}`);
  }
  t.equal(runs, 2);
});

test("simulate: the guide names every command that works on files, in its form", async (t) => {
  const guide = (await readFile(GUIDE, "utf8")).replaceAll("\\|", "|");
  for (const [verb, { form, notOnFiles }] of Object.entries(COMMANDS))
    if (notOnFiles === undefined && verb !== "rollout")
      t.ok(guide.includes(`\`${`${verb} ${form}`.trim()}\``), `${verb} ${form}`);
});
