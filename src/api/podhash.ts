// The hashes that name revisions, bit for bit as Argo Rollouts computes them (utils/hash, utils/conditions ComputeStepHash, v1.9
// with k8s.io/api v0.34): FNV-1a over Go's JSON of the template or the steps, spelt in 27 letters.
import { oncePerObject } from "../lib/once.ts";
import { goJson } from "./gojson.ts";

const ALPHABET = "bcdfghjklmnpqrstvwxz2456789";

/**
 * The hash of a pod template as it is written, before anything is injected into it. Unknown fields have no part in it. Of an object it is
 * computed once: a template is replaced, never written to.
 */
export function podTemplateHash(template: unknown, collisionCount?: number): string {
  const hash = hashOfTemplate(template);
  return spell(collisionCount === undefined ? hash : fnv1a(hash, saltOf(collisionCount)));
}

/** The hash of `canary.steps` as they are written; absent steps have one, too. Of a list it is computed once, as above. */
export function stepHash(steps: unknown): string {
  return spell(hashOfSteps(steps));
}

const hashOfTemplate = hashAs("PodTemplateSpec");
const hashOfSteps = hashAs("[CanaryStep");

function hashAs(type: string): (value: unknown) => number {
  const hash = (value: unknown): number => fnv1a(FNV_OFFSET, encoder.encode(goJson(type, value)));
  const known = oncePerObject<object, number>(hash);
  return (value) => (typeof value === "object" && value !== null ? known(value) : hash(value));
}

/** Kubernetes' spelling of a hash: decimal digits mapped to letters that make no words. Source: apimachinery util/rand. */
function spell(hash: number): string {
  let text = "";
  for (const byte of encoder.encode(String(hash))) text += ALPHABET[byte % ALPHABET.length];
  return text;
}

const encoder = new TextEncoder();
const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/** FNV-1a, 32 bits, going on from `hash`. */
function fnv1a(hash: number, bytes: Uint8Array): number {
  let state = hash;
  for (const byte of bytes) state = Math.imul(state ^ byte, FNV_PRIME) >>> 0;
  return state;
}

/** Eight bytes of which Go fills the first four. */
function saltOf(collisionCount: number): Uint8Array {
  const salt = new Uint8Array(8);
  new DataView(salt.buffer).setUint32(0, collisionCount, true);
  return salt;
}
