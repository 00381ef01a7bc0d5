import { z } from 'zod';

const toggle = (title: string, description: string) =>
  z.boolean().default(true).meta({ title, description });

export const parameters = z.strictObject({
  polish: z.enum(['auto', 'off']).default('auto').meta({
    title: 'Polishing',
    description:
      'auto: activations pass a signed logarithm before they are rounded and its inverse afterwards, wherever that lowers the error of the layers that read them; off: they are rounded as they are',
  }),
  compensate: toggle(
    'Compensation',
    'Weights are updated in closed form for what rounding does to the activations that they multiply',
  ),
  reconstruct: z.enum(['fisher', 'output', 'off']).default('fisher').meta({
    title: 'Reconstruction',
    description:
      'Weights are rounded up or down together. fisher: so that the model’s outputs change least, by the Fisher information of each layer’s output; output: so that each layer’s own output changes least; off: to the nearest code',
  }),
  scales: z.enum(['per-channel', 'per-tensor']).default('per-channel').meta({
    title: 'Scales of activations',
    description:
      'One for each channel, undone before the layer, or one for the whole value; weights always have one for each output channel',
  }),
  bits: z.literal([4, 8]).default(4).meta({ title: 'Bits of activations' }),
  ends: z.literal([8, 4]).default(8).meta({
    title: 'Bits of the ends',
    description: 'Of layers that read the model’s inputs or make its outputs, unpolished at 8',
  }),
  damping: z.number().positive().max(1).default(0.01).meta({
    title: 'Damping',
    description: 'Added to the diagonal of x̂x̂ᵀ for compensation, as a share of its mean',
  }),
});
export type Parameters = z.infer<typeof parameters>;
