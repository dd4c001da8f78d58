// A pod template as Kubernetes' own types hold it: values that do not decode into them are left out, since the API would refuse a ReplicaSet
// that has them, and a Rollout is read tolerantly. Source: Argo: utils/tolerantinformer, v1.9; its controllers work on what Go could decode.
import { isObject } from "../lib/json.ts";
import type { Path } from "./decode.ts";
import { goFindings } from "./gocheck.ts";
import type { KubeObject } from "./meta.ts";

/** The Rollout with such a template; the very same object when all of it decodes. */
export function withDecodableTemplate(rollout: KubeObject): KubeObject {
  const { spec } = rollout;
  if (!isObject(spec)) return rollout;
  const { mistyped } = goFindings("PodTemplateSpec", spec.template, []);
  if (mistyped.length === 0) return rollout;
  const template = mistyped.reduce((rest, { path }) => cut(rest, cutPath(path)), spec.template);
  return { ...rollout, spec: { ...spec, template } };
}

/** The field to go: a list with a value that does not decode goes whole, and so do ephemeral containers, which no template may have. */
function cutPath(path: Path): Path {
  const at = path.indexOf("ephemeralContainers");
  const whole = at < 0 ? path : path.slice(0, at + 1);
  return typeof whole.at(-1) === "number" ? whole.slice(0, -1) : whole;
}

function cut(value: unknown, path: Path): unknown {
  const [key, ...rest] = path;
  if (Array.isArray(value)) return value.map((item, index) => (index === key ? cut(item, rest) : item));
  if (!isObject(value) || key === undefined || !Object.hasOwn(value, key)) return value;
  const { [key]: inner, ...others } = value;
  return rest.length === 0 ? others : { ...others, [key]: cut(inner, rest) };
}
