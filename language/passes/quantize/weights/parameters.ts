import { z } from 'zod';
import type { Format } from '../rounding/blockwise';

/** Shared by the passes that round with GPTQ. */
export const head = z.enum(['keep', 'quantise']).default('keep').meta({
  title: 'Head',
  description: 'The layers that make the model’s outputs',
});
export const damping = z.number().positive().max(1).default(0.01).meta({
  title: 'Damping',
  description: 'gptq: added to the diagonal of the Hessian, as a share of its mean',
});

export const parameters = z.strictObject({
  method: z.enum(['rtn', 'gptq', 'awq', 'hqq']).default('rtn').meta({
    title: 'Rounding',
    description:
      'rtn rounds every weight by itself; gptq lets later weights make up for earlier errors; awq scales channels with large activations up first; hqq moves zero points between the codes, without data, and multiplies exactly. gptq and awq need calibration data',
  }),
  bits: z
    .literal([4, 8, 2])
    .default(4)
    .meta({ title: 'Bits', description: 'Of each weight; activations stay as they are' }),
  block: z.enum(['16', '32', '64', '128', '256', 'channel']).default('32').meta({
    title: 'Block',
    description: 'Input channels that share a scale, or all of an output channel',
  }),
  symmetric: z.boolean().default(false).meta({
    title: 'Symmetric',
    description: 'Zero lies in the middle of the codes, and no zero points are stored',
  }),
  arithmetic: z.enum(['exact', 'fast']).default('exact').meta({
    title: 'Arithmetic',
    description:
      'exact multiplies in the precision of the model; fast lets ONNX Runtime round activations to int8 per block as it runs',
  }),
  format: z.enum(['nbits', 'qdq']).default('nbits').meta({
    title: 'Format',
    description:
      'nbits: MatMulNBits of ONNX Runtime; qdq: DequantizeLinear before each layer, which other runtimes read too. It needs operator set 21, and ONNX Runtime makes the fast arithmetic of it, which rounds activations',
  }),
  head,
  embeddings: z.enum(['keep', 'quantise']).default('keep').meta({
    title: 'Embeddings',
    description:
      'quantise: tables that tokens are looked up in, each row rounded to nearest in blocks, as GatherBlockQuantized of ONNX Runtime',
  }),
  damping,
  clip: z.enum(['search', 'off']).default('search').meta({
    title: 'Clipping',
    description:
      'awq: search shrinks the range of each block where that lowers the error of its part of the output, except in layers that make queries or keys; off leaves all ranges whole',
  }),
});
export type Parameters = z.infer<typeof parameters>;

/** What a layer's rounding and its kernel ask for. */
export type Rounding = Pick<Parameters, 'method' | 'bits' | 'block' | 'symmetric' | 'arithmetic'>;

export const formatOf = ({ bits, block, symmetric, method }: Rounding, rows: number): Format => ({
  bits: bits,
  block: block === 'channel' ? rows : Number(block),
  symmetric: symmetric && method !== 'hqq',
});
