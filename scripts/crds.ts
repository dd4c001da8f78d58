// Builds the CustomResourceDefinitions of the argoproj.io and weir.dev kinds from the zod schemas of api/, as structural schemas: what
// `scripts/generate.ts` writes to deploy/crds. Pure.
import { stringify } from "yaml";
import { z } from "zod";
import {
  analysisRunSchema,
  analysisTemplateSchema,
  clusterAnalysisTemplateSchema,
} from "../src/api/analysisschema.ts";
import { experimentSchema } from "../src/api/experimentschema.ts";
import { trafficPolicySchema } from "../src/api/policyschema.ts";
import { RESOURCES, type ResourceType } from "../src/api/resources.ts";
import { rolloutSchema } from "../src/api/rolloutschema.ts";
import { isObject } from "../src/lib/json.ts";

interface Column {
  readonly name: string;
  readonly type: "integer" | "string" | "date";
  readonly jsonPath: string;
  readonly description: string;
}

interface Definition {
  readonly type: ResourceType;
  readonly schema: z.ZodType;
  readonly columns: readonly Column[];
}

type Schema = Readonly<Record<string, unknown>>;

const AGE: Column = {
  name: "Age",
  type: "date",
  jsonPath: ".metadata.creationTimestamp",
  description: "Time since the object was created",
};

const count = (name: string, jsonPath: string, description: string): Column => ({
  name,
  type: "integer",
  jsonPath,
  description,
});

/** Columns as Argo has them: `kubectl get` prints them, and scripts read that. */
const DEFINITIONS: readonly Definition[] = [
  {
    type: RESOURCES.rollout,
    schema: rolloutSchema,
    columns: [
      count("Desired", ".spec.replicas", "Number of desired pods"),
      count("Current", ".status.replicas", "Number of pods of all revisions"),
      count("Up-to-date", ".status.updatedReplicas", "Number of pods of the desired revision"),
      count("Available", ".status.availableReplicas", "Number of pods ready for at least minReadySeconds"),
      AGE,
    ],
  },
  {
    type: RESOURCES.analysisRun,
    schema: analysisRunSchema,
    columns: [
      { name: "Status", type: "string", jsonPath: ".status.phase", description: "Verdict so far" },
      AGE,
    ],
  },
  { type: RESOURCES.analysisTemplate, schema: analysisTemplateSchema, columns: [AGE] },
  { type: RESOURCES.clusterAnalysisTemplate, schema: clusterAnalysisTemplateSchema, columns: [AGE] },
  {
    type: RESOURCES.experiment,
    schema: experimentSchema,
    columns: [
      { name: "Status", type: "string", jsonPath: ".status.phase", description: "Phase of the experiment" },
      AGE,
    ],
  },
  { type: RESOURCES.trafficPolicy, schema: trafficPolicySchema, columns: [AGE] },
];

const OPEN: Schema = { type: "object", "x-kubernetes-preserve-unknown-fields": true };

/** Schemas that stand in for the generated ones, by path. Pod templates and Jobs are the API server's to validate. */
const REPLACED: Readonly<Record<string, (schema: Schema) => Schema>> = {
  metadata: () => ({ type: "object" }),
  "spec.template": () => OPEN,
  "spec.templates[].template": () => OPEN,
  "spec.metrics[].provider.job.metadata": () => OPEN,
  "spec.metrics[].provider.plugin": () => OPEN,
  "spec.strategy.canary.trafficRouting.plugins": () => OPEN,
  "spec.selector": (schema) => ({
    ...schema,
    "x-kubernetes-map-type": "atomic",
    "x-kubernetes-validations": [{ rule: "self == oldSelf", message: ".spec.selector is immutable" }],
  }),
};

/** Fields whose values Argo's own definitions constrain; elsewhere an unknown word is for the controller to judge. */
const ENUMS = /^spec\.metrics\[\]\.provider\.datadog\./;

/** File name to text, one definition a file. */
export function crdFiles(): ReadonlyMap<string, string> {
  const header = "# Generated from the schemas of src/api by `npm run generate`. Do not edit.\n";
  return new Map(
    DEFINITIONS.map((definition) => {
      const text = stringify(crdOf(definition), { lineWidth: 110, aliasDuplicateObjects: false });
      return [`${definition.type.plural}.yaml`, header + text];
    }),
  );
}

function crdOf({ type, schema, columns }: Definition): Schema {
  // zod gives a JSON schema as an open record.
  const json = z.toJSONSchema(schema, { unrepresentable: "any", io: "input" }) as Schema;
  const scale = {
    specReplicasPath: ".spec.replicas",
    statusReplicasPath: ".status.HPAReplicas",
    labelSelectorPath: ".status.selector",
  };
  const hasStatus = type.subresources.includes("status");
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${type.plural}.${type.group}` },
    spec: {
      group: type.group,
      names: {
        kind: type.kind,
        listKind: `${type.kind}List`,
        plural: type.plural,
        singular: type.singular,
        shortNames: type.shortNames,
      },
      scope: type.isNamespaced ? "Namespaced" : "Cluster",
      versions: [
        {
          name: type.version,
          served: true,
          storage: true,
          additionalPrinterColumns: columns,
          schema: { openAPIV3Schema: { ...structural(json, ""), required: ["spec"] } },
          ...(hasStatus ? { subresources: { status: {}, scale } } : {}),
        },
      ],
    },
  };
}

/** A structural schema: one type per node, no unions but int-or-string, nothing beside properties. */
function structural(schema: Schema, path: string): Schema {
  const replace = REPLACED[path];
  const plain = plainSchema(schema, path);
  return replace === undefined ? plain : replace(plain);
}

function plainSchema(schema: Schema, path: string): Schema {
  if (Array.isArray(schema.anyOf)) return { "x-kubernetes-int-or-string": true };
  switch (schema.type) {
    case "object":
      return objectSchema(schema, path);
    case "array":
      return { type: "array", items: structural(inner(schema.items), `${path}[]`) };
    case "integer":
      return { type: "integer", format: schema.maximum === 2147483647 ? "int32" : "int64" };
    case "number":
    case "boolean":
      return { type: schema.type };
    case "string":
      return {
        type: "string",
        ...(schema.format === "date-time" ? { format: "date-time" } : {}),
        ...(ENUMS.test(path) && Array.isArray(schema.enum) ? { enum: schema.enum } : {}),
      };
    default:
      return { "x-kubernetes-preserve-unknown-fields": true };
  }
}

function objectSchema(schema: Schema, path: string): Schema {
  if (!isObject(schema.properties)) {
    const values = inner(schema.additionalProperties);
    if (Object.keys(values).length === 0) return OPEN;
    return { type: "object", additionalProperties: structural(values, `${path}{}`) };
  }
  const properties = Object.entries(schema.properties).map(([key, value]) => [
    key,
    structural(inner(value), path === "" ? key : `${path}.${key}`),
  ]);
  const required = Array.isArray(schema.required) && path !== "" ? { required: schema.required } : {};
  return { type: "object", ...required, properties: Object.fromEntries(properties) };
}

function inner(value: unknown): Schema {
  return isObject(value) ? value : {};
}
