/** The schema of a report, as it is published in docs/report.schema.json, and reading one. */
import { z } from 'zod';
import { WhittleError } from '../errors';
import type { Report } from '../protocol';
import { readText } from './files';

const share = z.number().meta({ description: 'A share of one' });
const kind = z
  .enum(['exact', 'modelled', 'measured'])
  .meta({ description: 'How a number came about' });

const change = z.object({
  before: z.number().nullable(),
  after: z.number().nullable(),
  partial: z.exactOptional(z.boolean().meta({ description: 'Both are at least so much' })),
});
const changes = z.record(z.string(), change).meta({ description: 'By target' });

const file = z.object({ path: z.string(), bytes: z.number().int(), sha256: z.string() });
const skipped = z.array(z.object({ node: z.string(), reason: z.string() })).readonly();

const guard = z.object({
  gain: share.nullable(),
  minGain: share,
  kind,
  on: z.string().meta({ description: 'The target, or "this machine"' }),
  pays: z.boolean(),
  dropped: z.boolean().meta({ description: 'The step was left out because it does not pay' }),
});

const step = z.object({
  pass: z.string(),
  title: z.string(),
  sites: z.number().int(),
  skipped,
  seconds: z.number(),
  latencyMs: changes,
  calibration: z.exactOptional(
    z.string().meta({ description: 'The data that its ranges and statistics come from' }),
  ),
  operatorSet: z.exactOptional(
    change.meta({ description: 'Its version before and after, where the step had to raise it' }),
  ),
  guard: z.exactOptional(guard),
  rolledBack: z.exactOptional(
    z
      .object({ reason: z.string(), node: z.exactOptional(z.string()) })
      .meta({ description: 'It broke what has to hold after a step, and was left out' }),
  ),
});

const model = z.object({
  fileBytes: z.number().int(),
  macs: z.number().nullable(),
  parameters: z.number().int(),
  weightBytes: z.number(),
  partial: z.exactOptional(z.boolean().meta({ description: 'At least so many MACs' })),
  targets: z
    .array(
      z.object({
        id: z.string(),
        title: z.string(),
        basis: z.string().meta({ description: 'What the numbers of this target rest on' }),
        latencyMs: z.number(),
        energyMj: z.number().nullable(),
        partial: z.boolean().meta({ description: 'The numbers are at least so much' }),
      }),
    )
    .readonly(),
});

const fidelity = z.object({
  data: z.string(),
  samples: z.number().int(),
  outputs: z
    .array(
      z.object({
        name: z.string(),
        sqnrDb: z.number().nullable(),
        cosine: z.number().nullable(),
        maxAbs: z.number().nullable(),
      }),
    )
    .readonly(),
  metric: z.exactOptional(
    z.object({
      id: z.string(),
      before: z.number(),
      after: z.number(),
      samples: z.number().int(),
    }),
  ),
  drop: z.exactOptional(share.meta({ description: 'Loss of the metric, positive when worse' })),
  unavailable: z.exactOptional(z.string().meta({ description: 'Why nothing was compared' })),
});

const measured = z.object({
  beforeMs: z.number().nullable(),
  afterMs: z.number().nullable(),
  conditions: z.string(),
  verdict: z.string(),
  unavailable: z.exactOptional(z.string().meta({ description: 'Why nothing was timed' })),
});

const layer = z.object({
  name: z.string(),
  op: z.string(),
  macs: change,
  weightBytes: change,
  latencyMs: changes,
});

const checks = z.object({
  loads: z.boolean().nullable(),
  kernels: z.record(z.string(), z.number().int()),
  unfused: z.array(z.object({ node: z.string(), kernel: z.string() })).readonly(),
});

const budget = z.object({
  what: z.enum(['latency', 'drop']),
  target: z.exactOptional(z.string()),
  limit: z.number(),
  actual: z.number().nullable(),
  kind,
  kept: z.boolean(),
});

const place = z.object({
  macsPerByte: z.number().meta({
    description: 'Multiply-accumulates per byte that the layer reads and writes',
  }),
  gmacPerS: z.number(),
});

const roofline = z.object({
  target: z.string(),
  title: z.string(),
  none: z.string().nullable().meta({ description: 'Why the target has no roofline' }),
  compute: z
    .array(z.object({ name: z.string(), gmacPerS: z.number() }))
    .readonly()
    .meta({ description: 'What arithmetic achieves at best, the highest first' }),
  memory: z
    .array(z.object({ name: z.string(), gbPerS: z.number() }))
    .readonly()
    .meta({ description: 'How fast data can come, the fastest first' }),
  layers: z
    .array(
      z.object({
        node: z.string(),
        op: z.string(),
        bound: z.string(),
        latencyMs: z.number(),
        share,
        at: place,
        before: place.nullable().meta({ description: 'Where it stood, if it has moved' }),
      }),
    )
    .readonly(),
  families: z
    .array(
      z.object({
        family: z.string(),
        layers: z.number().int(),
        latencyMs: change,
        macs: change,
        share,
      }),
    )
    .readonly()
    .meta({ description: 'Totals by kind of layer, the dearest first' }),
  besideMs: change.meta({ description: 'Latency that belongs to no layer' }),
});

export const reportSchema = z
  .object({
    version: z.literal(1),
    createdAt: z.iso.datetime(),
    model: file,
    recipe: file,
    output: file,
    environment: z.record(z.string(), z.string()),
    steps: z.array(step).readonly(),
    before: model,
    after: model,
    fidelity,
    measured,
    layers: z.array(layer).readonly(),
    kinds: z.exactOptional(
      z.record(z.string(), kind).meta({ description: 'By where numbers stand in the report' }),
    ),
    checks: z.exactOptional(checks),
    budget: z.exactOptional(z.array(budget).readonly()),
    rooflines: z.exactOptional(z.array(roofline).readonly()),
  })
  .meta({
    title: 'Report of Whittle',
    description: 'What applying a recipe changed, and how every number came about',
  });

/** What docs/report.schema.json holds. Later versions may add keys; readers let them pass. */
export const reportJsonSchema = (): unknown => z.toJSONSchema(reportSchema, { io: 'input' });

/** @throws WhittleError naming the file and the first thing that is wrong with it */
export function readReport(path: string): Report {
  let content: unknown;
  try {
    content = JSON.parse(readText(path));
  } catch (cause) {
    if (cause instanceof WhittleError) throw cause;
    throw new WhittleError('this is not a report: it is not JSON', { where: path, cause });
  }
  const parsed = reportSchema.safeParse(content);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new WhittleError(`this is not a report: ${issue!.path.join('.')}: ${issue!.message}`, {
    where: path,
  });
}
