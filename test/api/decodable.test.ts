// Pod templates with values that Kubernetes cannot decode: those go, the rest serves.
import { test } from "tap";
import { withDecodableTemplate } from "../../src/api/api.ts";
import { rolloutManifest } from "../support/world.ts";

function withSpec(spec: Readonly<Record<string, unknown>>) {
  const manifest = rolloutManifest({});
  const template = { metadata: { labels: { app: "web" } }, spec };
  return { ...manifest, spec: { ...Object(manifest.spec), template } };
}

const container = { name: "main", image: "web:1" };
const broken = { ...container, resources: { requests: { memory: "invalid", cpu: "5m" } } };

// What the template's spec holds, and what is left of it.
const ROWS: readonly (readonly [string, Readonly<Record<string, unknown>>, unknown])[] = [
  [
    "a quantity",
    { containers: [broken] },
    { containers: [{ ...container, resources: { requests: { cpu: "5m" } } }] },
  ],
  [
    "ephemeral containers, which go whole",
    { containers: [container], ephemeralContainers: [{ ...broken, name: "debug" }] },
    { containers: [container] },
  ],
  [
    "a list with one value of another type",
    { containers: [{ ...container, args: ["a", 7] }] },
    { containers: [container] },
  ],
  ["a field of another type", { containers: [container], hostNetwork: "yes" }, { containers: [container] }],
];

for (const [name, spec, left] of ROWS)
  test(`decodable: ${name} that does not decode is left out`, async (t) => {
    const { template } = Object(withDecodableTemplate(withSpec(spec)).spec);
    t.strictSame(template, { metadata: { labels: { app: "web" } }, spec: left });
  });

test("decodable: what decodes stays the very object, numbers as quantities too", async (t) => {
  const fine = withSpec({
    containers: [{ ...container, resources: { requests: { cpu: 0.001, memory: "1Gi" } } }],
  });
  t.equal(withDecodableTemplate(fine), fine);
  t.equal(withDecodableTemplate(rolloutManifest({})).spec !== undefined, true);
  const bare = { ...rolloutManifest({}), spec: 7 };
  t.equal(withDecodableTemplate(bare), bare);
});
