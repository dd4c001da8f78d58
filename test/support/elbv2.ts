// AWS's load balancers as far as weir asks about them, over HTTP: requests of the Query protocol, answers in XML, errors as AWS gives them. The
// answers were held against those of moto 5.2 (`pip install 'moto[server]'`), which plays the same API.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Test } from "tap";

export interface Group {
  readonly name: string;
  /** Of the tag `ingress.k8s.aws/resource`. */
  readonly resource?: string;
  readonly targets?: readonly { readonly ip: string; readonly port: number; readonly state?: string }[];
}

/** The shares of a rule, by name of the target group. */
export type Shares = Readonly<Record<string, number>>;

export interface Balancer {
  readonly name: string;
  readonly dnsName: string;
  readonly groups: readonly Group[];
  /** Rules by listener. */
  readonly listeners: readonly (readonly Shares[])[];
  /** The end of its ARN. */
  readonly id?: string;
}

/** One call: its action and parameters. */
export type Call = Readonly<Record<string, string>> & { readonly Action: string };

export interface Elbv2 {
  readonly endpoint: string;
  /** Answered so far, in order. */
  readonly calls: readonly Call[];
  /** The most calls that were under way at once. */
  readonly most: () => number;
  set(balancers: readonly Balancer[]): void;
  /** What to answer instead; nothing: as ever, at once or when that resolves. `hang`: no answer at all. */
  instead(answer: Instead): void;
}

type Instead = (call: Call) => Refusal | "hang" | undefined | Promise<undefined>;

export interface Refusal {
  readonly status: number;
  readonly code: string;
  readonly message: string;
}

const PREFIX = "arn:aws:elasticloadbalancing:eu-central-1:123456789012";
const NS = "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/";
/** Load balancers and rules on a page here, so that there are several. */
const PAGE = 2;

export const groupArn = (name: string): string => `${PREFIX}:targetgroup/${name}/0a1b`;
export const balancerArn = ({ name, id = "9f8e" }: Balancer): string =>
  `${PREFIX}:loadbalancer/app/${name}/${id}`;

/** Starts it on a port of its own. */
export async function startElbv2(t: Test, balancers: readonly Balancer[]): Promise<Elbv2> {
  let held = balancers;
  let refuse: Instead = () => undefined;
  let underWay = 0;
  let most = 0;
  const calls: Call[] = [];
  const server = createServer(async (request, response) => {
    underWay += 1;
    most = Math.max(most, underWay);
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer); // without an encoding chunks are buffers
    const fields = Object.fromEntries(new URLSearchParams(Buffer.concat(chunks).toString()));
    const call: Call = { ...fields, Action: fields.Action ?? "" };
    const refusal = await refuse(call);
    if (refusal === "hang") return;
    calls.push(call);
    const answer = refusal ?? answerTo(call, held);
    const isText = typeof answer === "string";
    underWay -= 1;
    response.writeHead(isText ? 200 : answer.status, { "content-type": "text/xml" });
    response.end(isText ? answer : errorXml(answer));
  });
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo; // of a server that listens on an address
  return {
    endpoint: `http://127.0.0.1:${port}`,
    calls,
    most: () => most,
    set: (next) => {
      held = next;
    },
    instead: (answer) => {
      refuse = answer;
    },
  };
}

function answerTo(call: Call, balancers: readonly Balancer[]): string | Refusal {
  const { Action: action, Marker: marker, LoadBalancerArn: arn, TargetGroupArn: group } = call;
  const balancer = balancers.find((one) => balancerArn(one) === arn);
  const groups = balancers.flatMap((one) => one.groups);
  if (arn !== undefined && balancer === undefined)
    return { status: 400, code: "LoadBalancerNotFound", message: "One or more load balancers not found" };
  switch (action) {
    case "DescribeLoadBalancers":
      return paged(action, "LoadBalancers", balancers.map(balancerXml), marker);
    case "DescribeTargetGroups":
      return paged(action, "TargetGroups", (balancer?.groups ?? []).map(groupXml), marker);
    case "DescribeListeners":
      return paged(
        action,
        "Listeners",
        (balancer?.listeners ?? []).map((_, at) => tag("ListenerArn", listenerArn(arn, at))),
        marker,
      );
    case "DescribeRules": {
      const rules = balancers.flatMap((one) =>
        one.listeners.flatMap((shares, at) =>
          listenerArn(balancerArn(one), at) === call.ListenerArn ? shares : [],
        ),
      );
      return paged(action, "Rules", rules.map(ruleXml), marker);
    }
    case "DescribeTags": {
      const arns = Object.entries(call).flatMap(([key, value]) =>
        key.startsWith("ResourceArns.member.") ? [value] : [],
      );
      if (arns.length > 20)
        return { status: 400, code: "ValidationError", message: "at most 20 resources can be described" };
      const described = groups.filter(({ name }) => arns.includes(groupArn(name)));
      return paged(action, "TagDescriptions", described.map(tagsXml), undefined, described.length);
    }
    case "DescribeTargetHealth": {
      const found = groups.find(({ name }) => groupArn(name) === group);
      if (found === undefined)
        return { status: 400, code: "TargetGroupNotFound", message: "One or more target groups not found" };
      const targets = found.targets ?? [];
      return paged(action, "TargetHealthDescriptions", targets.map(targetXml), undefined, targets.length);
    }
    default:
      return { status: 400, code: "InvalidAction", message: `no such action: ${action}` };
  }
}

/** One page of a list. */
function paged(action: string, list: string, members: readonly string[], marker = "0", size = PAGE): string {
  const from = Number(marker);
  const shown = members.slice(from, from + size).map((member) => tag("member", member));
  const next = from + size < members.length ? tag("NextMarker", String(from + size)) : "";
  const result = tag(`${action}Result`, `${tag(list, shown.join(""))}${next}`);
  const metadata = tag("ResponseMetadata", tag("RequestId", "f1e2"));
  return `<${action}Response xmlns="${NS}">${result}${metadata}</${action}Response>`;
}

function errorXml({ code, message }: Refusal): string {
  const error = `${tag("Type", "Sender")}${tag("Code", code)}${tag("Message", message)}`;
  return `<ErrorResponse xmlns="${NS}">${tag("Error", error)}${tag("RequestId", "f1e2")}</ErrorResponse>`;
}

function balancerXml(balancer: Balancer): string {
  const { name, dnsName } = balancer;
  const arn = tag("LoadBalancerArn", balancerArn(balancer));
  return `${arn}${tag("DNSName", dnsName)}${tag("LoadBalancerName", name)}${tag("Type", "application")}`;
}

function groupXml({ name }: Group): string {
  return `${tag("TargetGroupArn", groupArn(name))}${tag("TargetGroupName", name)}${tag("TargetType", "ip")}`;
}

function tagsXml({ name, resource }: Group): string {
  const pair = (key: string, value: string) => tag("member", `${tag("Key", key)}${tag("Value", value)}`);
  const own = resource === undefined ? "" : pair("ingress.k8s.aws/resource", resource);
  const tags = `${pair("elbv2.k8s.aws/cluster", "shop")}${own}`;
  return `${tag("ResourceArn", groupArn(name))}${tag("Tags", tags)}`;
}

function ruleXml(shares: Shares): string {
  const groups = Object.entries(shares).map(([name, weight]) =>
    tag("member", `${tag("TargetGroupArn", groupArn(name))}${tag("Weight", String(weight))}`),
  );
  const forward = tag("ForwardConfig", tag("TargetGroups", groups.join("")));
  return `${tag("RuleArn", "arn:rule")}${tag("Actions", tag("member", `${tag("Type", "forward")}${forward}`))}`;
}

function targetXml({ ip, port, state = "healthy" }: NonNullable<Group["targets"]>[number]): string {
  const target = tag("Target", `${tag("Id", ip)}${tag("Port", String(port))}`);
  return `${target}${tag("TargetHealth", tag("State", state))}`;
}

function listenerArn(balancer = "", at = 0): string {
  return `${balancer.replace(":loadbalancer/", ":listener/")}/${at}`;
}

function tag(name: string, content: string): string {
  return `<${name}>${content}</${name}>`;
}
