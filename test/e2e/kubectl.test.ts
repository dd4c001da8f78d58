// A real kubectl works on the server of `weir up`: the commands of everyday life, on a Rollout that really runs.
import { test } from "tap";
import { requireKubectl } from "../support/kubectl.ts";
import { run, startUp, stateFolder } from "../support/up.ts";

const rollout = (tag: string): string => `
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: { name: demo }
spec:
  replicas: 2
  selector: { matchLabels: { app: demo } }
  template:
    metadata: { labels: { app: demo } }
    spec:
      containers:
        - name: rollouts-demo
          image: argoproj/rollouts-demo:${tag}
          ports: [{ name: http, containerPort: 8080, protocol: TCP }]
  strategy:
    canary:
      steps: [{ setWeight: 50 }, { pause: {} }]
`;

test("kubectl: get, watch, describe, logs, apply, patch, scale, wait and delete work on a running Rollout", {
  timeout: 180_000,
}, async (t) => {
  const kubectl = await requireKubectl(t);
  if (kubectl === undefined) return;
  const up = await startUp(await stateFolder(t));
  const ask = async (...words: string[]): Promise<string> => {
    const { code, stdout, stderr } = await run([kubectl, "--kubeconfig", up.kubeconfig, ...words]);
    t.equal(code, 0, `kubectl ${words.join(" ")}\n${stderr}`);
    return stdout;
  };
  const apply = (manifest: string) =>
    run([kubectl, "--kubeconfig", up.kubeconfig, "apply", "-f", "-"], manifest);

  t.match(await apply(rollout("blue")), { code: 0, stdout: "rollout.argoproj.io/demo created\n" });
  t.match(await ask("wait", "--for=condition=Healthy", "rollout/demo", "--timeout=30s"), /condition met/);
  t.match(
    await ask("get", "rollouts"),
    /NAME +DESIRED +CURRENT +UP-TO-DATE +AVAILABLE +AGE\ndemo +2 +2 +2 +2 /,
  );
  const pods = await ask("get", "pods", "-o", "wide");
  t.equal(pods.match(/demo-\S+ +1\/1 +Running +0 +\S+ +127\.0\.0\.1 +local/g)?.length, 2, pods);
  const described = await ask("describe", "rollout", "demo");
  t.match(described, /Phase: +Healthy/);
  t.match(described, /RolloutCompleted .*Rollout completed update to revision 1/);
  const [pod = ""] = (await ask("get", "pods", "-o", "name")).split("\n");
  t.match(await ask("logs", pod), /^blue listens on 127\.0\.0\.1:\d+/);

  t.match(await apply(rollout("yellow")), { code: 0, stdout: "rollout.argoproj.io/demo configured\n" });
  t.match(await ask("wait", "--for=condition=Paused", "ro/demo", "--timeout=30s"), /condition met/);
  t.match(await apply(rollout("yellow")), { code: 0, stdout: "rollout.argoproj.io/demo unchanged\n" });
  t.match(
    await ask("patch", "ro", "demo", "--type", "merge", "-p", '{"metadata":{"labels":{"team":"a"}}}'),
    /patched/,
  );
  t.match(await ask("get", "ro", "-l", "team=a"), /^demo /m);
  t.match(await ask("scale", "ro/demo", "--replicas=4"), /scaled/);
  t.match(
    await ask("wait", "--for=jsonpath={.status.availableReplicas}=4", "ro/demo", "--timeout=30s"),
    /condition met/,
  );
  const patch = '{"status":{"pauseConditions":null}}';
  t.match(
    await ask("patch", "ro", "demo", "--subresource", "status", "--type", "merge", "-p", patch),
    /patched/,
  );
  t.match(await ask("wait", "--for=condition=Healthy", "ro/demo", "--timeout=30s"), /condition met/);
  t.match(await ask("get", "rs"), /demo-\S+ +4 +4 +4 /);
  t.match(await ask("delete", "ro", "demo"), /deleted/);
  await ask("wait", "--for=delete", "pod", "-l", "app=demo", "--timeout=30s");
  t.equal(await up.kill("SIGTERM"), 0, "SIGTERM ends weir up cleanly");
});

test("kubectl: get -w prints a line for every change", { timeout: 90_000 }, async (t) => {
  const kubectl = await requireKubectl(t);
  if (kubectl === undefined) return;
  const up = await startUp(await stateFolder(t));
  const command = [kubectl, "--kubeconfig", up.kubeconfig];
  await run([...command, "apply", "-f", "-"], rollout("blue"));
  const watching = run(["timeout", "6", ...command, "get", "ro", "-w"]);
  await run([...command, "wait", "--for=condition=Healthy", "ro/demo", "--timeout=30s"]);
  await run([...command, "scale", "ro/demo", "--replicas=3"]);
  const { stdout } = await watching;
  t.match(stdout, /^demo +3 +3 +3 +3 /m);
});
