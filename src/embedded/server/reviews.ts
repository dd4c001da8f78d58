// SelfSubject*Reviews: whoever holds the token may do everything, so the answers are constants.
import { type Answer, answerJson } from "./answer.ts";

const STATUS: Readonly<Record<string, unknown>> = {
  SelfSubjectAccessReview: { allowed: true, reason: "the holder of this server's token may do everything" },
  SelfSubjectRulesReview: {
    resourceRules: [{ verbs: ["*"], apiGroups: ["*"], resources: ["*"] }],
    nonResourceRules: [{ verbs: ["*"], nonResourceURLs: ["*"] }],
    incomplete: false,
  },
  SelfSubjectReview: {
    userInfo: { username: "weir-admin", groups: ["system:masters", "system:authenticated"] },
  },
};

/** The answer to a review. Bodies may be protobuf, which kubectl sends here, and are only echoed where they are JSON. */
export function reviewAnswer(group: string, kind: string, body: string | undefined): Answer {
  const apiVersion = `${group}/v1`;
  return answerJson(201, { kind, apiVersion, metadata: {}, ...specOf(body), status: STATUS[kind] });
}

function specOf(body: string | undefined): { readonly spec?: unknown } {
  try {
    const parsed: unknown = JSON.parse(body ?? "");
    return typeof parsed === "object" && parsed !== null && "spec" in parsed ? { spec: parsed.spec } : {};
  } catch {
    // Not JSON: the review's question does not change the answer.
    return {};
  }
}
