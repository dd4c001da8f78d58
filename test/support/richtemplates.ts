// Pod templates in which every field that the API server fills in is left out once: one case a default, by name.

/** A pod template as a user writes it. */
export interface RichTemplate {
  readonly name: string;
  readonly template: Readonly<Record<string, unknown>>;
}

type Fields = Readonly<Record<string, unknown>>;

const IMAGE = "registry.example.com/web:1.2";

function withContainer(name: string, fields: Fields): RichTemplate {
  return withSpec(name, { containers: [{ name: "web", image: IMAGE, ...fields }] });
}

function withVolume(name: string, source: Fields): RichTemplate {
  return withSpec(name, {
    containers: [{ name: "web", image: IMAGE, volumeMounts: [{ name: "data", mountPath: "/data" }] }],
    volumes: [{ name: "data", ...source }],
  });
}

function withSpec(name: string, spec: Fields): RichTemplate {
  const containers = [{ name: "web", image: IMAGE }];
  return { name, template: { metadata: { labels: { app: "rich" } }, spec: { containers, ...spec } } };
}

function withImage(image: string): RichTemplate {
  return withContainer(`image ${image}`, { image });
}

const DIGEST = `sha256:${"0123456789abcdef".repeat(4)}`;
const HTTP = { httpGet: { port: 8080 } };

/** The cases. */
export const RICH_TEMPLATES: readonly RichTemplate[] = [
  withSpec("nothing but a container", {}),
  withImage("nginx"),
  withImage("nginx:latest"),
  withImage("nginx:1.27"),
  withImage(`nginx@${DIGEST}`),
  withImage(`nginx:latest@${DIGEST}`),
  withImage(`nginx:1.27@${DIGEST}`),
  withImage("localhost:5000/team/web"),
  withImage("Registry.Example.com/web:latest"),
  withImage("docker.io/Library/web:latest"),
  withImage("Team/web"),
  withImage("not an image"),
  withContainer("ports without a protocol", {
    ports: [{ containerPort: 8080 }, { containerPort: 53, protocol: "UDP", name: "dns" }],
  }),
  withContainer("probes of every kind", {
    readinessProbe: HTTP,
    livenessProbe: { tcpSocket: { port: "http" }, initialDelaySeconds: 3 },
    startupProbe: { grpc: { port: 9000 }, failureThreshold: 30 },
    ports: [{ containerPort: 8080, name: "http" }],
  }),
  withContainer("a probe with everything", {
    readinessProbe: {
      httpGet: { port: 8080, path: "/ready", scheme: "HTTPS", httpHeaders: [{ name: "Host", value: "a" }] },
      timeoutSeconds: 0,
      periodSeconds: 7,
    },
    livenessProbe: { exec: { command: ["true"] }, terminationGracePeriodSeconds: 3 },
  }),
  withContainer("lifecycle", { lifecycle: { preStop: HTTP, postStart: { exec: { command: ["true"] } } } }),
  withContainer("lifecycle sleep", { lifecycle: { preStop: { sleep: { seconds: 3 } } } }),
  withContainer("environment", {
    env: [
      { name: "EMPTY", value: "" },
      { name: "NAME", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
      { name: "CPU", valueFrom: { resourceFieldRef: { resource: "limits.cpu" } } },
      { name: "KEY", valueFrom: { configMapKeyRef: { name: "config", key: "a", optional: true } } },
      { name: "SECRET", valueFrom: { secretKeyRef: { name: "secret", key: "a" } } },
    ],
    envFrom: [{ configMapRef: { name: "config" } }, { prefix: "S_", secretRef: { name: "secret" } }],
  }),
  withContainer("resources in every spelling", {
    resources: {
      limits: { cpu: 1.5, memory: "1024Mi", "example.com/gpu": "2" },
      requests: { cpu: "0.25", memory: "0.5Gi", "ephemeral-storage": "1e3" },
    },
  }),
  withContainer("resources finer than a thousandth", { resources: { requests: { cpu: "100500u" } } }),
  withContainer("a request of nano units", { resources: { requests: { cpu: "1n" }, limits: { cpu: "3n" } } }),
  withContainer("limits without requests", { resources: { limits: { cpu: "2", memory: "1Gi" } } }),
  withContainer("security context", {
    securityContext: { runAsNonRoot: true, capabilities: { drop: ["ALL"] }, privileged: false },
  }),
  withContainer("false and zero said aloud", { stdin: false, tty: false, workingDir: "", args: [] }),
  withSpec("pod settings said aloud", {
    hostNetwork: false,
    hostPID: false,
    nodeSelector: {},
    tolerations: [],
    securityContext: {},
    volumes: [],
    shareProcessNamespace: false,
  }),
  withSpec("service account", { serviceAccountName: "robot" }),
  withSpec("service account by its old name", { serviceAccount: "robot" }),
  withSpec("host network", {
    hostNetwork: true,
    containers: [{ name: "web", image: IMAGE, ports: [{ containerPort: 8080, hostPort: 8080 }] }],
  }),
  withSpec("host users and host name", { hostUsers: false, hostname: "web", subdomain: "sub" }),
  withSpec("scheduling", {
    tolerations: [{ key: "a", effect: "NoSchedule" }, { operator: "Exists" }],
    topologySpreadConstraints: [
      {
        maxSkew: 1,
        topologyKey: "zone",
        whenUnsatisfiable: "DoNotSchedule",
        labelSelector: { matchLabels: { app: "rich" } },
        matchLabelKeys: ["version"],
      },
    ],
    affinity: {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: {
          nodeSelectorTerms: [{ matchExpressions: [{ key: "zone", operator: "In", values: ["a"] }] }],
        },
      },
      podAntiAffinity: {
        preferredDuringSchedulingIgnoredDuringExecution: [
          {
            weight: 5,
            podAffinityTerm: { topologyKey: "host", labelSelector: { matchLabels: { app: "rich" } } },
          },
        ],
      },
    },
    priorityClassName: "high",
    terminationGracePeriodSeconds: 0,
  }),
  withSpec("overhead", { runtimeClassName: "sandbox", overhead: { cpu: "1500u" } }),
  withSpec("dns and aliases", {
    dnsConfig: { nameservers: ["10.0.0.1"], options: [{ name: "ndots", value: "2" }] },
    hostAliases: [{ ip: "127.0.0.1", hostnames: ["a"] }],
    imagePullSecrets: [{ name: "pull" }],
    readinessGates: [{ conditionType: "example.com/ready" }],
  }),
  withSpec("containers that come first, and one beside", {
    initContainers: [
      { name: "migrate", image: "migrate" },
      { name: "mesh", image: "mesh:2", restartPolicy: "Always", ports: [{ containerPort: 15_000 }] },
    ],
  }),
  withVolume("a volume without a source", {}),
  withVolume("hostPath", { hostPath: { path: "/tmp" } }),
  withVolume("configMap", { configMap: { name: "config", items: [{ key: "a", path: "b" }] } }),
  withVolume("secret", { secret: { secretName: "secret", optional: true } }),
  withVolume("downwardAPI", {
    downwardAPI: {
      items: [
        { path: "labels", fieldRef: { fieldPath: "metadata.labels" } },
        { path: "cpu", resourceFieldRef: { containerName: "web", resource: "limits.cpu" } },
      ],
    },
  }),
  withVolume("projected", {
    projected: {
      sources: [
        { serviceAccountToken: { path: "token" } },
        { configMap: { name: "config" } },
        { secret: { name: "secret" } },
        { downwardAPI: { items: [{ path: "name", fieldRef: { fieldPath: "metadata.name" } }] } },
      ],
    },
  }),
  withVolume("ephemeral", {
    ephemeral: {
      volumeClaimTemplate: {
        spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1024Mi" } } },
      },
    },
  }),
  withVolume("iscsi", { iscsi: { targetPortal: "10.0.0.1:3260", iqn: "iqn.2001-04.com.example:a", lun: 0 } }),
  withVolume("rbd", { rbd: { monitors: ["10.0.0.1:6789"], image: "disk" } }),
  withVolume("azureDisk", { azureDisk: { diskName: "disk", diskURI: "https://example.com/disk" } }),
  withVolume("scaleIO", {
    scaleIO: {
      gateway: "https://example.com",
      system: "a",
      secretRef: { name: "secret" },
      volumeName: "disk",
    },
  }),
  withVolume("csi", { csi: { driver: "example.com", volumeAttributes: { a: "b" } } }),
  withVolume("nfs", { nfs: { server: "10.0.0.1", path: "/" } }),
  withVolume("image", { image: { reference: "registry.example.com/files" } }),
  withVolume("image with a tag", { image: { reference: "registry.example.com/files:2" } }),
  withVolume("emptyDir in memory", { emptyDir: { medium: "Memory", sizeLimit: "0.5Gi" } }),
];
