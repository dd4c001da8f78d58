// Settings of the step plugin `weir.dev/webhook` (`steps[].plugin.config`): strict, because a misspelt field would silently ask somebody else
// or wait for another time.
import { z } from "zod";
import { parseDuration } from "../lib/duration.ts";
import type { Finding } from "./decode.ts";
import { type FieldError, invalid } from "./fielderror.ts";
import { WEIR_WEBHOOK_STEP } from "./labels.ts";
import type { Rollout } from "./rolloutschema.ts";

const DEFAULT_TIMEOUT_MS = 10_000;
/** A call holds one of a bounded number of places. */
const MAX_TIMEOUT_MS = 60_000;

const settings = z.strictObject({
  url: z.string().refine(isWebAddress, { message: "is not an http or https URL" }),
  /** Sent with every call, over those that weir sets. */
  headers: z
    .record(z.string().regex(/^[!#$%&'*+\-.^_`|~\w]+$/, "is not a header name"), z.string())
    .default({}),
  /** How long one call may take, as a Go duration of at most 1m. */
  timeout: z
    .string()
    .refine((text) => (parseDuration(text) ?? 0) > 0 && (parseDuration(text) ?? 0) <= MAX_TIMEOUT_MS, {
      message: 'is not a duration of at most 1m such as "10s"',
    })
    .optional(),
});

/** What to call, and how. */
export interface WebhookStep {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
}

/** Reads a step's config; paths of findings begin at its root. */
export function readWebhookStep(
  config: unknown,
):
  | { readonly kind: "valid"; readonly settings: WebhookStep }
  | { readonly kind: "invalid"; readonly findings: readonly Finding[] } {
  const parsed = settings.safeParse(config ?? {});
  if (!parsed.success) {
    const findings = parsed.error.issues.map(({ path, message }) => ({
      path: path.filter((key) => typeof key !== "symbol"),
      message,
    }));
    return { kind: "invalid", findings };
  }
  const { url, headers, timeout } = parsed.data;
  const timeoutMs =
    timeout === undefined ? DEFAULT_TIMEOUT_MS : (parseDuration(timeout) ?? DEFAULT_TIMEOUT_MS);
  return { kind: "valid", settings: { url, headers, timeoutMs } };
}

/** What is wrong with the webhook steps of a Rollout. */
export function webhookStepErrors(rollout: Rollout): readonly FieldError[] {
  return (rollout.spec.strategy?.canary?.steps ?? []).flatMap(({ plugin }, index) => {
    if (plugin?.name !== WEIR_WEBHOOK_STEP) return [];
    const read = readWebhookStep(plugin.config);
    if (read.kind === "valid") return [];
    const at = ["spec", "strategy", "canary", "steps", index, "plugin", "config"];
    const shown = JSON.stringify(plugin.config ?? null);
    return read.findings.map(({ path, message }) => invalid([...at, ...path], shown, message));
  });
}

function isWebAddress(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, username, password } = new URL(text);
  return (protocol === "http:" || protocol === "https:") && username === "" && password === "";
}
