// Hashes against golden vectors that Go made (scripts/go/podtemplate, with k8s.io/api and argo-rollouts themselves).
import { readFileSync } from "node:fs";
import { test } from "tap";
import { goJson } from "../../src/api/gojson.ts";
import { podTemplateHash, stepHash } from "../../src/api/podhash.ts";

interface Vector {
  readonly name: string;
  readonly input: unknown;
  readonly collisionCount?: number;
  /** What Go hashed. */
  readonly text?: string;
  readonly hash: string;
}

function vectors(file: string): readonly Vector[] {
  // The file is written by our own generator in this shape.
  return JSON.parse(readFileSync(new URL(file, import.meta.url), "utf8")) as readonly Vector[];
}

test("podhash: equals Go's hash of every template", (t) => {
  const all = vectors("podhash.vectors.json");
  t.ok(all.length >= 200, `${all.length} vectors`);
  for (const { name, input, collisionCount, text, hash } of all) {
    if (text !== undefined)
      t.equal(goJson("PodTemplateSpec", input), text, `${name}: the text that is hashed`);
    t.equal(podTemplateHash(input, collisionCount), hash, name);
  }
  t.end();
});

test("podhash: step hashes equal Go's", (t) => {
  for (const { name, input, text, hash } of vectors("stephash.vectors.json")) {
    t.equal(goJson("[CanaryStep", input), text, `${name}: the text that is hashed`);
    t.equal(stepHash(input), hash, name);
  }
  t.end();
});

test("podhash: a template differs by what a container runs, not by unknown fields", (t) => {
  const template = (container: object) => ({ spec: { containers: [{ name: "a", ...container }] } });
  t.not(podTemplateHash(template({ image: "a" })), podTemplateHash(template({ image: "b" })));
  t.equal(podTemplateHash(template({ image: "a", unknown: 1 })), podTemplateHash(template({ image: "a" })));
  t.end();
});
