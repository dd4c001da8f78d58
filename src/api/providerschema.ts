// Schemas of the metric providers' settings, one per provider, complete by field (spec.metrics[].provider).
import { z } from "zod";
import {
  anyJson,
  durationText,
  int64,
  intOrString,
  objectMeta,
  opaque,
  open,
  stringMap,
  strings,
} from "./shapes.ts";

const authentication = open({
  sigv4: open({
    region: z.string().optional(),
    profile: z.string().optional(),
    roleArn: z.string().optional(),
  }).optional(),
  oauth2: open({
    tokenUrl: z.string().optional(),
    clientId: z.string().optional(),
    clientSecret: z.string().optional(),
    scopes: strings.optional(),
  }).optional(),
  basicAuth: open({ username: z.string().optional(), password: z.string().optional() }).optional(),
});

const header = open({ key: z.string(), value: z.string() });

const prometheus = open({
  address: z.string().optional(),
  query: z.string().optional(),
  authentication: authentication.optional(),
  timeout: int64.optional(),
  insecure: z.boolean().optional(),
  headers: z.array(header).optional(),
  rangeQuery: open({
    start: z.string().optional(),
    end: z.string().optional(),
    step: durationText.optional(),
  }).optional(),
});

const web = open({
  method: z.enum(["GET", "POST", "PUT"]).optional(),
  url: z.string(),
  headers: z.array(header).optional(),
  body: z.string().optional(),
  timeoutSeconds: int64.optional(),
  jsonPath: z.string().optional(),
  insecure: z.boolean().optional(),
  jsonBody: anyJson.optional(),
  authentication: authentication.optional(),
});

const datadog = open({
  interval: durationText.optional(),
  query: z.string().optional(),
  queries: stringMap.optional(),
  formula: z.string().optional(),
  apiVersion: z.enum(["v1", "v2"]).optional(),
  aggregator: z.enum(["avg", "min", "max", "sum", "last", "percentile", "mean", "l2norm", "area"]).optional(),
  secretRef: open({ name: z.string().optional(), namespaced: z.boolean().optional() }).optional(),
  requestTimeout: durationText.optional(),
});

const cloudWatch = open({
  interval: durationText.optional(),
  metricDataQueries: z.array(
    open({
      id: z.string().optional(),
      expression: z.string().optional(),
      label: z.string().optional(),
      metricStat: open({
        metric: open({
          dimensions: z.array(open({ name: z.string().optional(), value: z.string().optional() })).optional(),
          metricName: z.string().optional(),
          namespace: z.string().optional(),
        }).optional(),
        period: intOrString.optional(),
        stat: z.string().optional(),
        unit: z.string().optional(),
      }).optional(),
      period: intOrString.optional(),
      returnData: z.boolean().optional(),
    }),
  ),
});

const scopeDetail = open({
  scope: z.string(),
  region: z.string(),
  step: int64,
  start: z.string().optional(),
  end: z.string().optional(),
});

const kayenta = open({
  address: z.string(),
  application: z.string(),
  canaryConfigName: z.string(),
  metricsAccountName: z.string(),
  configurationAccountName: z.string(),
  storageAccountName: z.string(),
  threshold: open({ pass: int64, marginal: int64 }),
  scopes: z.array(open({ name: z.string(), controlScope: scopeDetail, experimentScope: scopeDetail })),
  lookback: z.boolean().optional(),
});

const addressAndQuery = { address: z.string().optional(), query: z.string().optional() };

/** Exactly one member is set. `plugin` holds one entry: the provider's name and its settings. */
export const metricProvider = open({
  prometheus: prometheus.optional(),
  kayenta: kayenta.optional(),
  web: web.optional(),
  datadog: datadog.optional(),
  wavefront: open(addressAndQuery).optional(),
  newRelic: open({ profile: z.string().optional(), query: z.string(), timeout: int64.optional() }).optional(),
  job: open({ metadata: open(objectMeta.partial().shape).optional(), spec: opaque }).optional(),
  cloudWatch: cloudWatch.optional(),
  graphite: open(addressAndQuery).optional(),
  influxdb: open({ profile: z.string().optional(), query: z.string().optional() }).optional(),
  skywalking: open({ ...addressAndQuery, interval: durationText.optional() }).optional(),
  plugin: opaque.optional(),
});
