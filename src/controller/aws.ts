// Asks AWS about Application Load Balancers through its own SDK, which is loaded when the first client is made and not before. Few calls at
// once, and one for all who ask the same: the quota of these calls is shared with the load balancer controller. Source: Argo: utils/aws/aws.go, v1.9.
import type {
  ElasticLoadBalancingV2Client,
  ElasticLoadBalancingV2ClientConfig,
  Rule,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import { messageOf, WeirError } from "../lib/errors.ts";
import type { LoadBalancer, Target, TargetGroup } from "../routers/routers.ts";
import type { LoadBalancers } from "./balancers.ts";

/** Code of the error of a call to AWS that fails, or is not answered in time. */
export const AWS_FAILED = "WEIR_ERR_CONTROLLER_AWS";

/** Calls under way at once. */
const MAX_CALLS = 4;
/** The longest that one try of a call may take; the SDK tries three times, with back-off where it is throttled. */
const CONNECT_TIMEOUT_MS = 2_000;
const CALL_TIMEOUT_MS = 5_000;
/** The longest that a whole description may take. */
const DESCRIBE_TIMEOUT_MS = 9_000;
/** Resources that one DescribeTags takes. */
const TAGS_AT_ONCE = 20;
/** Load balancers on one page: the most that AWS gives. */
const PAGE = 400;
/** Of the AWS load balancer controller. */
const RESOURCE_TAG = "ingress.k8s.aws/resource";
/** Load balancers whose ARN is remembered. */
const MAX_KNOWN = 1_000;

type Sdk = typeof import("@aws-sdk/client-elastic-load-balancing-v2");

export interface AwsOptions {
  /** Settings of the SDK's client. Default: all from the environment, as every AWS program takes them. */
  readonly config?: ElasticLoadBalancingV2ClientConfig;
  /** The tag in which the load balancer controller names the Ingress, Service and port of a target group. Default: `ingress.k8s.aws/resource`. */
  readonly resourceTag?: string;
}

/** A client. Throws where no region is configured; credentials are looked for with the first call. */
export async function createAwsBalancers(options: AwsOptions = {}): Promise<LoadBalancers> {
  const { config, resourceTag = RESOURCE_TAG } = options;
  const sdk = await import("@aws-sdk/client-elastic-load-balancing-v2");
  const client = new sdk.ElasticLoadBalancingV2Client({
    requestHandler: {
      connectionTimeout: CONNECT_TIMEOUT_MS,
      requestTimeout: CALL_TIMEOUT_MS,
      // Without it a time-out is a warning on the console.
      throwOnRequestTimeout: true,
    },
    ...config,
  });
  await client.config.region().catch((error: unknown) => {
    throw failed(
      "no AWS region is configured: set AWS_REGION, or leave out --aws-verify-target-group",
      error,
    );
  });
  const asker: Asker = { sdk, client, limit: limiter(MAX_CALLS), known: new Map(), resourceTag };
  return {
    describe: shared((dnsName, signal) => describe(asker, dnsName, signal)),
    targets: shared((arn, signal) => targetsOf(asker, arn, signal)),
  };
}

interface Asker {
  readonly sdk: Sdk;
  readonly client: ElasticLoadBalancingV2Client;
  readonly limit: Limiter;
  /** Load balancers by DNS name: neither name nor ARN changes while there is one. */
  readonly known: Map<string, Found>;
  readonly resourceTag: string;
}

interface Found {
  readonly name: string;
  readonly arn: string;
}

async function describe(
  asker: Asker,
  dnsName: string,
  signal: AbortSignal,
): Promise<LoadBalancer | undefined> {
  const known = asker.known.get(dnsName);
  const found = known ?? (await find(asker, dnsName, signal));
  if (found === undefined) return undefined;
  try {
    return { ...found, targetGroups: await targetGroups(asker, found.arn, signal) };
  } catch (error) {
    asker.known.delete(dnsName);
    // It is another one by now, or none.
    if (known !== undefined && isGone(error)) return describe(asker, dnsName, signal);
    throw error;
  }
}

/** The API cannot be asked for a DNS name: all of the account's load balancers are looked through. */
async function find(asker: Asker, dnsName: string, signal: AbortSignal): Promise<Found | undefined> {
  const { sdk, client, known } = asker;
  for (let marker: string | undefined, isMore = true; isMore; isMore = marker !== undefined) {
    const command = new sdk.DescribeLoadBalancersCommand({ PageSize: PAGE, Marker: marker });
    const page = await call(asker, "DescribeLoadBalancers", signal, (at) => client.send(command, at));
    for (const { DNSName, LoadBalancerName: name, LoadBalancerArn: arn } of page.LoadBalancers ?? []) {
      if (DNSName !== dnsName || name === undefined || arn === undefined) continue;
      if (known.size >= MAX_KNOWN) known.clear();
      known.set(dnsName, { name, arn });
      return { name, arn };
    }
    marker = page.NextMarker;
  }
  return undefined;
}

async function targetGroups(
  asker: Asker,
  loadBalancer: string,
  signal: AbortSignal,
): Promise<readonly TargetGroup[]> {
  const { sdk, client } = asker;
  const groups = await pages(async (Marker) => {
    const command = new sdk.DescribeTargetGroupsCommand({ LoadBalancerArn: loadBalancer, Marker });
    const page = await call(asker, "DescribeTargetGroups", signal, (at) => client.send(command, at));
    return { items: page.TargetGroups ?? [], next: page.NextMarker };
  });
  const named = groups.flatMap(({ TargetGroupName: name, TargetGroupArn: arn }) =>
    name === undefined || arn === undefined ? [] : [{ name, arn }],
  );
  const arns = named.map(({ arn }) => arn);
  const [resources, weights] = await Promise.all([
    resourcesOf(asker, arns, signal),
    weightsOf(asker, loadBalancer, signal),
  ]);
  return named.map(({ name, arn }) => {
    const resource = resources.get(arn);
    const group = { name, arn, weights: [...(weights.get(arn) ?? [])] };
    return resource === undefined ? group : { ...group, resource };
  });
}

/** What the load balancer controller made each target group for. */
async function resourcesOf(
  asker: Asker,
  arns: readonly string[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, string>> {
  const { sdk, client, resourceTag } = asker;
  const batches = Array.from({ length: Math.ceil(arns.length / TAGS_AT_ONCE) }, (_, index) =>
    arns.slice(index * TAGS_AT_ONCE, (index + 1) * TAGS_AT_ONCE),
  );
  const answers = await Promise.all(
    batches.map((ResourceArns) => {
      const command = new sdk.DescribeTagsCommand({ ResourceArns });
      return call(asker, "DescribeTags", signal, (at) => client.send(command, at));
    }),
  );
  return new Map(
    answers
      .flatMap(({ TagDescriptions = [] }) => TagDescriptions)
      .flatMap(({ ResourceArn: arn, Tags = [] }) => {
        const resource = Tags.find(({ Key }) => Key === resourceTag)?.Value;
        return arn === undefined || resource === undefined ? [] : [[arn, resource] as const];
      }),
  );
}

/** The weights of each target group in all rules of all listeners. */
async function weightsOf(
  asker: Asker,
  loadBalancer: string,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, ReadonlySet<number>>> {
  const { sdk, client } = asker;
  const listeners = await pages(async (Marker) => {
    const command = new sdk.DescribeListenersCommand({ LoadBalancerArn: loadBalancer, Marker });
    const page = await call(asker, "DescribeListeners", signal, (at) => client.send(command, at));
    return { items: page.Listeners ?? [], next: page.NextMarker };
  });
  const rules = await Promise.all(
    listeners.map(({ ListenerArn }) =>
      pages(async (Marker) => {
        const command = new sdk.DescribeRulesCommand({ ListenerArn, Marker });
        const page = await call(asker, "DescribeRules", signal, (at) => client.send(command, at));
        return { items: page.Rules ?? [], next: page.NextMarker };
      }),
    ),
  );
  const weights = new Map<string, Set<number>>();
  for (const [arn, weight] of rules.flat().flatMap(sharesIn)) {
    const known = weights.get(arn);
    if (known === undefined) weights.set(arn, new Set([weight]));
    else known.add(weight);
  }
  return weights;
}

/**
 * The shares that a rule gives to target groups. A rule that sends everything to one of them, as that of a header route does, splits nothing: its
 * weight says nothing. Argo takes it for the split's if it comes last.
 */
function sharesIn({ Actions = [] }: Rule): readonly (readonly [arn: string, weight: number])[] {
  return Actions.flatMap(({ ForwardConfig }) => {
    const groups = ForwardConfig?.TargetGroups ?? [];
    if (groups.length < 2) return [];
    return groups.flatMap(({ TargetGroupArn: arn, Weight: weight }) =>
      arn === undefined || weight === undefined ? [] : [[arn, weight] as const],
    );
  });
}

/** Healthy or not, but for those that are on their way out. */
async function targetsOf(asker: Asker, arn: string, signal: AbortSignal): Promise<readonly Target[]> {
  const { sdk, client } = asker;
  const command = new sdk.DescribeTargetHealthCommand({ TargetGroupArn: arn });
  const answer = await call(asker, "DescribeTargetHealth", signal, (at) => client.send(command, at));
  return (answer.TargetHealthDescriptions ?? []).flatMap(({ Target: target, TargetHealth }) => {
    const { Id: ip, Port: port } = target ?? {};
    if (ip === undefined || port === undefined || TargetHealth?.State === "draining") return [];
    return [{ ip, port }];
  });
}

/** One call, as soon as there is room for it; what goes wrong is said with the call's name. */
async function call<T>(
  { limit }: Asker,
  name: string,
  signal: AbortSignal,
  send: (options: { readonly abortSignal: AbortSignal }) => Promise<T>,
): Promise<T> {
  try {
    return await limit(() => {
      signal.throwIfAborted();
      return send({ abortSignal: signal });
    });
  } catch (error) {
    if (signal.aborted) throw failed(`${name}: no answer in time`, error);
    throw failed(`${name}: ${wordsOf(error)}`, error);
  }
}

function wordsOf(error: unknown): string {
  const name = error instanceof Error ? error.name : "";
  const text = name === "" || name === "Error" ? messageOf(error) : `${name}: ${messageOf(error)}`;
  if (/AccessDenied|UnauthorizedOperation/.test(name))
    return `${text}; its role needs the elasticloadbalancing:Describe* actions that docs/guides/ingress-routers.md lists`;
  if (name === "CredentialsProviderError")
    return `${text}; give the controller's ServiceAccount an IAM role, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY`;
  return text;
}

function isGone(error: unknown): boolean {
  const { cause } = error instanceof WeirError ? error : {};
  return cause instanceof Error && cause.name.startsWith("LoadBalancerNotFound");
}

function failed(message: string, cause: unknown): WeirError {
  return new WeirError({ code: AWS_FAILED, source: "upstream", retry: "yes", message, cause });
}

interface Page<T> {
  readonly items: readonly T[];
  readonly next: string | undefined;
}

async function pages<T>(read: (marker: string | undefined) => Promise<Page<T>>): Promise<readonly T[]> {
  const first = await read(undefined);
  const items = [...first.items];
  for (let { next } = first; next !== undefined; ) {
    const page = await read(next);
    items.push(...page.items);
    next = page.next;
  }
  return items;
}

type Limiter = <T>(work: () => Promise<T>) => Promise<T>;

/** Lets so many works go on at once; others wait in the order in which they came. */
function limiter(most: number): Limiter {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async (work) => {
    if (running >= most) await new Promise<void>((resolve) => void waiting.push(resolve));
    else running += 1;
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next === undefined) running -= 1;
      else next();
    }
  };
}

/** The same question from several is asked once. Who gives up waits no longer; the call goes on for the others, for a bounded time. */
function shared<T>(
  ask: (about: string, signal: AbortSignal) => Promise<T>,
): (about: string, signal: AbortSignal) => Promise<T> {
  const underWay = new Map<string, Promise<T>>();
  return (about, signal) => {
    let answer = underWay.get(about);
    if (answer === undefined) {
      answer = ask(about, AbortSignal.timeout(DESCRIBE_TIMEOUT_MS)).finally(() => underWay.delete(about));
      underWay.set(about, answer);
    }
    return unlessAborted(answer, signal);
  };
}

async function unlessAborted<T>(answer: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const give = (): void => aborted.reject(failed("nobody waits for the answer any more", signal.reason));
  if (signal.aborted) give();
  signal.addEventListener("abort", give, { once: true });
  try {
    return await Promise.race([answer, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", give);
  }
}
