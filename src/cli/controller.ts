// `weir controller`: the control plane alone, against the cluster that the kubeconfig or the pod's service account names.
import type { Command } from "commander";
import { apiVersionOf, CLUSTER_RESOURCES, type ResourceType } from "../api/api.ts";
import { createAwsBalancers, createController, createMetrics } from "../controller/controller.ts";
import { systemClock } from "../lib/clock.ts";
import type { Cli } from "./cli.ts";
import { type ClusterFlags, withCluster, withClusterFlags } from "./cluster.ts";
import {
  addressFlag,
  formatFlag,
  groupVersionFlag,
  type LogFlags,
  levelFlag,
  loggerFor,
  portFlag,
} from "./flags.ts";
import { SYSTEM_NAMESPACE } from "./local.ts";
import { serveHealth, serveMetrics } from "./pages.ts";
import { untilAborted } from "./up.ts";

interface ControllerFlags extends ClusterFlags, LogFlags {
  readonly ownNamespace: string;
  readonly namespaced: boolean;
  readonly stepPlugins: boolean;
  readonly xdsHost: string;
  readonly xdsPort: number;
  readonly bind: string;
  readonly identity?: string;
  readonly pagesHost: string;
  readonly metricsPort?: number;
  readonly healthPort?: number;
  readonly awsVerifyTargetGroup: boolean;
  readonly awsTargetGroupBindingApiVersion: string;
  readonly albTagKeyResourceId: string;
}

/** Adds the command. */
export function addController(program: Command, cli: Cli): void {
  const command = program
    .command("controller")
    .description("run the control plane: decide about rollouts and serve xDS to proxies")
    .option(
      "--own-namespace <name>",
      "namespace of the lease and of the records of proxies",
      SYSTEM_NAMESPACE,
    )
    .option("--namespaced", "reconcile only the namespace of the context or of -n", false)
    .option("--no-step-plugins", "call no step plugin (weir.dev/webhook): a step that needs one is not done")
    .option("--xds-host <address>", "address that ADS and LRS listen on", "0.0.0.0")
    .option("--xds-port <port>", "port of ADS and LRS", portFlag, 18_000)
    .option(
      "--bind <address>",
      "address that gateways listen on when their Gateway names none",
      addressFlag,
      "0.0.0.0",
    )
    .option("--identity <name>", "name of this process in the lease; default: host name and pid")
    .option("--pages-host <address>", "address that /metrics, /healthz and /readyz are served on", "0.0.0.0")
    .option("--metrics-port <port>", "port of /metrics; default: 8090, or the next free one", portFlag)
    .option(
      "--health-port <port>",
      "port of /healthz and /readyz; default: 8080, or the next free one",
      portFlag,
    )
    .option(
      "--aws-verify-target-group",
      "ask AWS whether the weights of router alb are set and pods registered in target groups (needs rights there)",
      false,
    )
    .option(
      "--aws-target-group-binding-api-version <group/version>",
      "version in which TargetGroupBindings are read",
      groupVersionFlag,
      apiVersionOf(CLUSTER_RESOURCES.targetGroupBinding),
    )
    .option(
      "--alb-tag-key-resource-id <key>",
      "tag in which the AWS load balancer controller names what it made a target group for",
      "ingress.k8s.aws/resource",
    )
    .option("--log-level <level>", "error, warn, info or debug", levelFlag, "info")
    .option("--log-format <format>", "text or json", formatFlag, "text");
  withClusterFlags(command).action((flags: ControllerFlags) => runController(cli, flags));
}

/** Runs until the signal to end. */
async function runController(cli: Cli, flags: ControllerFlags): Promise<void> {
  const balancers = flags.awsVerifyTargetGroup
    ? await createAwsBalancers({ resourceTag: flags.albTagKeyResourceId })
    : undefined;
  await withCluster(cli, flags, async ({ client, namespace, server }) => {
    const log = loggerFor(cli, flags);
    const metrics = createMetrics();
    const controller = createController({
      client,
      metrics,
      clock: systemClock,
      log,
      namespace: flags.ownNamespace,
      xdsHost: flags.xdsHost,
      xdsPort: flags.xdsPort,
      bindAddress: flags.bind,
      callsStepPlugins: flags.stepPlugins,
      ...(balancers !== undefined && {
        balancers,
        targetGroupBindings: bindingsIn(flags.awsTargetGroupBindingApiVersion),
      }),
      ...(flags.namespaced && { watchNamespace: namespace }),
      ...(flags.identity !== undefined && { identity: flags.identity }),
    });
    const { pagesHost: host, metricsPort, healthPort } = flags;
    const servers = [
      await serveMetrics(metrics, { host, log, ...(metricsPort !== undefined && { port: metricsPort }) }),
      await serveHealth(() => controller.isReady(), {
        host,
        log,
        ...(healthPort !== undefined && { port: healthPort }),
      }),
    ];
    const { xdsAddress } = await controller.start();
    log.info("controller runs", { server, xdsAddress });
    await untilAborted(cli.signal);
    await controller.stop();
    for (const one of servers) await one.close();
  });
}

/** The kind of TargetGroupBindings in `group/version`. */
function bindingsIn(groupVersion: string): ResourceType {
  const [group = "", version = ""] = groupVersion.split("/");
  return { ...CLUSTER_RESOURCES.targetGroupBinding, group, version };
}
