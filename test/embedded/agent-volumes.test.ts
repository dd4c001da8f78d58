// Volumes, users and hooks of containers: with mount namespaces where this machine gives them, and honest words where it does not.
import { spawnSync } from "node:child_process";
import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Test, test } from "tap";
import { RESOURCES } from "../../src/api/api.ts";
import { type Pod, readPod } from "../../src/embedded/agent/podspec.ts";
import { type Ability, findAbility, sandboxOf } from "../../src/embedded/agent/sandbox.ts";
import { notCarriedOut } from "../../src/embedded/agent/uncarried.ts";
import { type WorkloadBed, workloadBed } from "../support/workloads.ts";

const ability = await findAbility();
const NOTHING: Ability = { mounts: undefined, users: false, noNewPrivileges: false };
const REQUIRED = process.env.WEIR_TEST_REQUIRE_ALL === "1";
const needsMounts =
  ability.mounts !== undefined || REQUIRED ? {} : { skip: "this machine gives no mount namespaces" };
const needsRoot =
  process.getuid?.() === 0 || REQUIRED ? {} : { skip: "only root gives processes another user" };

const shell = (script: string, extra: object = {}): object => ({
  name: "main",
  image: "any",
  command: ["sh", "-c", script],
  ...extra,
});

async function run(bed: WorkloadBed, spec: Record<string, unknown>, metadata: object = {}): Promise<void> {
  await bed.create(RESOURCES.pod, {
    metadata: { name: "pod", ...metadata },
    spec: { terminationGracePeriodSeconds: 1, restartPolicy: "Never", ...spec },
  });
}

async function ended(bed: WorkloadBed, isWanted: (pod: Pod) => boolean = isOver): Promise<Pod> {
  const found = await bed.until(RESOURCES.pod, "pod", (one) => one !== undefined && isWanted(readPod(one)));
  if (found === undefined) throw new Error("no pod");
  return readPod(found);
}

const isOver = ({ status }: Pod): boolean => status.phase === "Succeeded" || status.phase === "Failed";

async function logOf(bed: WorkloadBed, pod: Pod, container = "main"): Promise<string> {
  return readFile(join(bed.stateDir, "pods", pod.metadata.uid ?? "", container, "0", "log"), "utf8");
}

async function config(bed: WorkloadBed): Promise<void> {
  await bed.create(RESOURCES.configMap, {
    metadata: { name: "settings" },
    data: { mode: "fast", other: "x" },
  });
  await bed.create(RESOURCES.secret, {
    metadata: { name: "keys" },
    data: { token: Buffer.from([0, 255, 10]).toString("base64") },
  });
}

const MOUNTS = [
  { name: "settings", mountPath: "/etc/weir-test/settings" },
  { name: "keys", mountPath: "/weir-test-keys" },
  { name: "about", mountPath: "/weir-test-about", readOnly: true },
  { name: "scratch", mountPath: "/weir-test-scratch" },
];
const VOLUMES = [
  { name: "settings", configMap: { name: "settings", items: [{ key: "mode", path: "deep/mode.txt" }] } },
  { name: "keys", secret: { secretName: "keys", defaultMode: 0o400 } },
  {
    name: "about",
    projected: {
      sources: [
        { downwardAPI: { items: [{ path: "labels", fieldRef: { fieldPath: "metadata.labels" } }] } },
        { configMap: { name: "settings", items: [{ key: "other", path: "other" }] } },
      ],
    },
  },
  { name: "scratch", emptyDir: {} },
];

test(
  "volumes: a container sees them at their mountPath, and the machine gets no such folder",
  needsMounts,
  async (t) => {
    const bed = await workloadBed(t);
    await bed.startAgent();
    await config(bed);
    const script = [
      "cat /etc/weir-test/settings/deep/mode.txt; echo",
      "od -An -tu1 /weir-test-keys/token",
      "stat -c %a /weir-test-keys/token",
      "cat /weir-test-about/labels /weir-test-about/other; echo",
      "cat /weir-test-scratch/from-init",
      "test -e /etc/passwd && echo machine",
      "touch /etc/weir-test/settings/new 2>/dev/null || echo protected",
      "pwd",
    ].join("; ");
    const init = shell("echo init > from-init", {
      name: "init",
      workingDir: "/weir-test-scratch",
      volumeMounts: [MOUNTS[3]],
    });
    await run(
      bed,
      { initContainers: [init], containers: [shell(script, { volumeMounts: MOUNTS })], volumes: VOLUMES },
      { labels: { app: "shop" } },
    );
    const pod = await ended(bed);
    t.strictSame(
      (await logOf(bed, pod)).split("\n").map((line) => line.trim().replace(/ +/g, " ")),
      ["fast", "0 255 10", "400", 'app="shop"x', "init", "machine", "protected", process.cwd(), ""],
    );
    t.equal(pod.status.phase, "Succeeded");
    for (const { mountPath } of MOUNTS) await t.rejects(stat(mountPath), { code: "ENOENT" });
    t.notMatch((await bed.eventsOf("pod")).join("\n"), /NotMounted|NotCarriedOut/);
  },
);

test("volumes: a program, its working directory and its probes may lie in them", needsMounts, async (t) => {
  const bed = await workloadBed(t);
  await bed.startAgent();
  const data = { "run.sh": "#!/bin/sh\npwd\nexec sleep 60\n", probe: "x" };
  await bed.create(RESOURCES.configMap, { metadata: { name: "scripts" }, data });
  const exec = { command: ["test", "-e", "/weir-test-scripts/probe"] };
  await run(bed, {
    containers: [
      {
        name: "main",
        image: "any",
        command: ["./run.sh"],
        workingDir: "/weir-test-scripts",
        volumeMounts: [{ name: "scripts", mountPath: "/weir-test-scripts" }],
        readinessProbe: { exec, periodSeconds: 1 },
        lifecycle: { postStart: { exec: { command: ["cat", "probe"] } } },
      },
    ],
    volumes: [{ name: "scripts", configMap: { name: "scripts", defaultMode: 0o755 } }],
  });
  const pod = await ended(bed, ({ status }) => status.containerStatuses?.[0]?.ready === true);
  t.equal(await logOf(bed, pod), "/weir-test-scripts\n");
  t.notMatch((await bed.eventsOf("pod")).join("\n"), /Unhealthy|FailedPostStart/);
});

test("volumes: without root they are mounted in a user namespace", needsRoot, async (t) => {
  const dir = t.testdir({ volume: { file: "content" }, own: {} });
  for (const path of [dir, join(dir, "own"), join(dir, "volume")]) spawnSync("chmod", ["777", path]);
  await mkdir(join(dir, "own", "mounts"), { mode: 0o777 });
  spawnSync("chmod", ["777", join(dir, "own", "mounts")]);
  const mounts = [
    { source: join(dir, "volume"), target: "/weir-test/deep", isReadOnly: false },
    { source: join(dir, "volume"), target: "/etc/weir-test", isReadOnly: true },
  ];
  const { argv } = sandboxOf({
    argv: [
      "/bin/sh",
      "-c",
      "cat /weir-test/deep/file /etc/weir-test/file; touch /etc/weir-test/x || echo no",
    ],
    cwd: "/",
    mounts,
    identity: { groups: [], noNewPrivileges: false },
    ability: { ...NOTHING, mounts: "user" },
    dir: join(dir, "own"),
  });
  const [program = "", ...args] = argv;
  const { stdout, stderr } = spawnSync(program, args, { uid: 65_534, gid: 65_534, encoding: "utf8" });
  t.equal(stdout, "contentcontentno\n", stderr);
});

test("volumes: where nothing can be mounted an event says where the files are, and so does the environment", async (t) => {
  const bed = await workloadBed(t);
  await bed.startAgent({ ability: async () => NOTHING });
  await config(bed);
  const script = 'cat "$WEIR_VOLUME_SETTINGS/deep/mode.txt"';
  await run(bed, { containers: [shell(script, { volumeMounts: [MOUNTS[0]] })], volumes: VOLUMES });
  const pod = await ended(bed);
  t.equal(await logOf(bed, pod), "fast");
  t.match(
    (await bed.eventsOf("pod")).join("\n"),
    /VolumesNotMounted: \/etc\/weir-test\/settings is not mounted/,
  );
});

test("volumes: a missing Secret is waited for, with words", async (t) => {
  const bed = await workloadBed(t);
  await bed.startAgent();
  await run(bed, { containers: [shell("true", { volumeMounts: [MOUNTS[1]] })], volumes: VOLUMES });
  const waiting = await ended(
    bed,
    ({ status }) => status.containerStatuses?.[0]?.state.waiting?.message !== undefined,
  );
  t.match(waiting.status.containerStatuses?.[0]?.state.waiting, {
    reason: "CreateContainerConfigError",
    message: /volume "\w+": (secret "keys"|configmap "settings") not found/,
  });
  await config(bed);
  t.equal((await ended(bed)).status.phase, "Succeeded");
});

test(
  "securityContext: root runs a container as the user and group it names, with no new privileges",
  needsRoot,
  async (t) => {
    const bed = await workloadBed(t);
    await bed.startAgent();
    await run(bed, {
      securityContext: { runAsUser: 12_345, runAsGroup: 23_456, supplementalGroups: [34_567] },
      containers: [
        shell(
          'id -u; id -g; id -G; echo "$HOME"; grep NoNewPrivs /proc/self/status; touch /weir-test-scratch/x',
          {
            securityContext: { runAsUser: 54_321, allowPrivilegeEscalation: false },
            volumeMounts: [MOUNTS[3]],
          },
        ),
      ],
      volumes: VOLUMES,
    });
    const pod = await ended(bed);
    t.strictSame((await logOf(bed, pod)).split("\n"), [
      "54321",
      "23456",
      "23456 34567",
      "/",
      "NoNewPrivs:\t1",
      "",
    ]);
    t.equal(pod.status.phase, "Succeeded", "an emptyDir takes files of any user");
  },
);

test("postStart: a container counts as running and is probed only when it is done", async (t) => {
  const bed = await workloadBed(t);
  await bed.startAgent({ workDir: t.testdir() });
  const hook = shell("while ! test -e go; do sleep 0.05; done; echo hook >> trail");
  await run(bed, {
    containers: [
      shell("sleep 60", {
        lifecycle: { postStart: { exec: { command: (hook as { command: string[] }).command } } },
      }),
    ],
  });
  await bed.untilList(RESOURCES.event, (events) => events.some(({ reason }) => reason === "Started"));
  const { status } = await ended(bed, () => true);
  t.notMatch(status.containerStatuses?.[0], { state: { running: {} } });
  t.equal(status.containerStatuses?.[0]?.ready ?? false, false);
  const dir = (t as Test & { readonly testdirName: string }).testdirName;
  await writeFile(join(dir, "go"), "");
  await ended(bed, (pod) => pod.status.containerStatuses?.[0]?.ready === true);
  t.equal(await readFile(join(dir, "trail"), "utf8"), "hook\n");
});

test("postStart: a hook that fails ends the container, with an event", async (t) => {
  const bed = await workloadBed(t);
  await bed.startAgent();
  const exec = { command: ["sh", "-c", "echo no luck; exit 1"] };
  await run(bed, { containers: [shell("sleep 60", { lifecycle: { postStart: { exec } } })] });
  t.equal((await ended(bed)).status.phase, "Failed");
  t.match((await bed.eventsOf("pod")).join("\n"), /FailedPostStartHook: PostStartHook failed: no luck/);
});

test("agent: what it does not carry out is named in an event", async (t) => {
  const bed = await workloadBed(t);
  await bed.startAgent();
  await run(bed, {
    hostNetwork: true,
    containers: [
      shell("true", {
        resources: { limits: { cpu: "1" } },
        securityContext: { readOnlyRootFilesystem: true, privileged: false, capabilities: { drop: ["ALL"] } },
        volumeMounts: [{ name: "disk", mountPath: "/disk" }],
      }),
    ],
    volumes: [{ name: "disk", persistentVolumeClaim: { claimName: "disk" } }],
  });
  await ended(bed);
  t.match((await bed.eventsOf("pod")).join("\n"), /NotCarriedOut: .*hostNetwork/);
  const pod = await ended(bed);
  t.strictSame(notCarriedOut(pod, { mounts: "root", users: true, noNewPrivileges: true }, true), [
    "hostNetwork",
    "volume disk (persistentVolumeClaim)",
    "resources.limits of container main",
    "securityContext.capabilities of container main",
    "securityContext.readOnlyRootFilesystem of container main",
  ]);
});
