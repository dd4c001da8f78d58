// AWS is asked through its own SDK, over HTTP, by a server that answers as AWS does: what is made of the answers, how few calls are made, and what
// is said when there is none.
import { type Test, test } from "tap";
import { AWS_FAILED, createAwsBalancers } from "../../src/controller/aws.ts";
import { isWeirError, messageOf } from "../../src/lib/errors.ts";
import { type Balancer, balancerArn, type Call, type Group, groupArn, startElbv2 } from "../support/elbv2.ts";
import { startRoundTrips } from "../support/roundtrips.ts";

const DNS = "k8s-shop.eu-central-1.elb.amazonaws.com";
const CANARY: Group = { name: "k8s-canary", resource: "shop/edge-web-canary:80" };
const STABLE: Group = { name: "k8s-stable", resource: "shop/edge-web-stable:80" };
const SPLIT = { "k8s-canary": 20, "k8s-stable": 80 };

test("aws: a load balancer is found by its DNS name, with what its groups were made for and their weights", async (t) => {
  const others = ["a", "b", "c"].map((name) => balancer({ name, dnsName: `${name}.aws` }));
  const { balancers, elb } = await scene(t, [...others, balancer()]);
  t.strictSame(await balancers.describe(DNS, soon()), {
    name: "k8s-shop",
    arn: balancerArn(balancer()),
    targetGroups: [
      { name: "k8s-canary", arn: groupArn("k8s-canary"), weights: [20], resource: "shop/edge-web-canary:80" },
      { name: "k8s-stable", arn: groupArn("k8s-stable"), weights: [80], resource: "shop/edge-web-stable:80" },
      { name: "other", arn: groupArn("other"), weights: [] },
    ],
  });
  t.equal(countOf(elb.calls, "DescribeLoadBalancers"), 2, "page after page");
  t.equal(countOf(elb.calls, "DescribeTargetGroups"), 2);
});

test("aws: no load balancer of a name is no failure", async (t) => {
  const { balancers } = await scene(t, [balancer()]);
  t.equal(await balancers.describe("gone.aws", soon()), undefined);
});

test("aws: a load balancer that is known is not looked for again, unless it was replaced", async (t) => {
  const { balancers, elb } = await scene(t, [balancer()]);
  await balancers.describe(DNS, soon());
  await balancers.describe(DNS, soon());
  t.equal(countOf(elb.calls, "DescribeLoadBalancers"), 1);
  elb.set([balancer({ id: "new" })]);
  t.equal((await balancers.describe(DNS, soon()))?.arn, balancerArn(balancer({ id: "new" })));
  elb.set([]);
  t.equal(await balancers.describe(DNS, soon()), undefined);
});

test("aws: a rule that sends everything to one group says nothing of the split; rules that differ are both told", async (t) => {
  const listeners = [[{ "k8s-canary": 100 }, SPLIT], [{ "k8s-canary": 20, "k8s-stable": 90 }]];
  const { balancers } = await scene(t, [balancer({ listeners })]);
  const groups = (await balancers.describe(DNS, soon()))?.targetGroups ?? [];
  t.strictSame(
    groups.map(({ weights }) => weights),
    [[20], [80, 90], []],
  );
});

test("aws: tags are asked for 20 groups at a time", async (t) => {
  const groups = Array.from({ length: 45 }, (_, index) => ({
    name: `g${index}`,
    resource: `shop/edge-s${index}:80`,
  }));
  const { balancers, elb } = await scene(t, [balancer({ groups, listeners: [] })]);
  const described = await balancers.describe(DNS, soon());
  t.strictSame(
    described?.targetGroups.map(({ resource }) => resource),
    groups.map(({ resource }) => resource),
  );
  t.equal(countOf(elb.calls, "DescribeTags"), 3);
});

test("aws: the targets of a group are those that are registered, healthy or not, but for those on their way out", async (t) => {
  const targets = [
    { ip: "10.0.0.1", port: 80 },
    { ip: "10.0.0.2", port: 80, state: "initial" },
    { ip: "10.0.0.3", port: 80, state: "draining" },
  ];
  const { balancers } = await scene(t, [balancer({ groups: [{ name: "g", targets }], listeners: [] })]);
  t.strictSame(await balancers.targets(groupArn("g"), soon()), [
    { ip: "10.0.0.1", port: 80 },
    { ip: "10.0.0.2", port: 80 },
  ]);
});

test("aws: a throttled call is tried again; one that stays throttled is told with its name", async (t) => {
  const throttled = { status: 400, code: "Throttling", message: "Rate exceeded" };
  const { balancers, elb } = await scene(t, [balancer()]);
  let left = 1;
  elb.instead(({ Action }) => (Action === "DescribeRules" && left-- > 0 ? throttled : undefined));
  t.equal((await balancers.describe(DNS, soon()))?.name, "k8s-shop");
  t.equal(countOf(elb.calls, "DescribeRules"), 2);
  elb.instead(() => throttled);
  await fails(t, () => balancers.describe(DNS, soon()), /^DescribeTargetGroups: Throttling: Rate exceeded$/);
});

test("aws: a missing right is told with what to do about it", async (t) => {
  const { balancers, elb } = await scene(t, [balancer()]);
  const message = "User: weir is not authorized to perform: elasticloadbalancing:DescribeTargetHealth";
  elb.instead(() => ({ status: 403, code: "AccessDenied", message }));
  await fails(
    t,
    () => balancers.targets(groupArn("g"), soon()),
    /DescribeTargetHealth: AccessDenied: User: weir is not authorized .*; its role needs the elasticloadbalancing:Describe\* actions/,
  );
});

test("aws: whoever gives up waits no longer for a server that does not answer", async (t) => {
  const { balancers, elb } = await scene(t, [balancer()]);
  const asked = Promise.withResolvers<void>();
  elb.instead(() => {
    asked.resolve();
    return "hang";
  });
  const gaveUp = new AbortController();
  const answer = balancers.describe(DNS, gaveUp.signal);
  await asked.promise;
  gaveUp.abort();
  await fails(t, () => answer, /nobody waits for the answer any more/);
});

test("aws: the same question from many is asked once, and never more than four calls are under way", async (t) => {
  const groups = Array.from({ length: 200 }, (_, index) => ({ name: `g${index}` }));
  const listeners = Array.from({ length: 8 }, () => [SPLIT]);
  const { balancers, elb } = await scene(t, [balancer({ groups, listeners })]);
  const roundTrips = await startRoundTrips(t);
  const held: (() => void)[] = [];
  const releaseAll = (): void => {
    for (const release of held.splice(0)) release();
  };
  elb.instead(({ Action }) => {
    if (Action !== "DescribeRules") return undefined;
    const { promise, resolve } = Promise.withResolvers<undefined>();
    held.push(() => resolve(undefined));
    // With four under way none of the others comes: the server has time to see one that does.
    if (held.length === 4) void roundTrips(200).then(releaseAll);
    return promise;
  });
  const all = await Promise.all(Array.from({ length: 20 }, () => balancers.describe(DNS, soon())));
  t.ok(all.every((one) => one === all[0]));
  t.equal(countOf(elb.calls, "DescribeLoadBalancers"), 1);
  t.equal(countOf(elb.calls, "DescribeRules"), 8);
  t.equal(elb.most(), 4);
});

test("aws: without a region nothing begins", async (t) => {
  const config = { credentials, region: () => Promise.reject(new Error("Region is missing")) };
  await fails(
    t,
    () => createAwsBalancers({ config }),
    /^no AWS region is configured: set AWS_REGION, or leave out --aws-verify-target-group$/,
  );
});

const credentials = { accessKeyId: "test", secretAccessKey: "test" };

async function scene(t: Test, held: readonly Balancer[]) {
  const elb = await startElbv2(t, held);
  const config = { endpoint: elb.endpoint, region: "eu-central-1", credentials };
  return { elb, balancers: await createAwsBalancers({ config }) };
}

function balancer(options: Partial<Balancer> = {}): Balancer {
  const groups = [CANARY, STABLE, { name: "other" }];
  return { name: "k8s-shop", dnsName: DNS, groups, listeners: [[SPLIT]], ...options };
}

function countOf(calls: readonly Call[], action: string): number {
  return calls.filter(({ Action }) => Action === action).length;
}

const soon = (): AbortSignal => AbortSignal.timeout(20_000);

async function fails(t: Test, work: () => Promise<unknown>, words: RegExp): Promise<void> {
  const error: unknown = await work().then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  t.ok(isWeirError(error, AWS_FAILED));
  t.match(messageOf(error), words);
}
