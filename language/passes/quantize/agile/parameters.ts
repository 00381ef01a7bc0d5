import { z } from 'zod';
import type { Format } from '../rounding/blockwise';
import { damping, head } from '../weights/parameters';

export const parameters = z.strictObject({
  activations: z.literal([8, 4, 16]).default(8).meta({
    title: 'Bits of activations',
    description:
      'Of what matrix layers read, a scale and a zero point for each token as it comes; 16 leaves activations as they are, to see what 4-bit weights cost alone',
  }),
  rounding: z.enum(['gptq', 'rtn']).default('gptq').meta({
    title: 'Rounding of weights',
    description:
      'gptq lets later weights make up for earlier errors; rtn rounds every weight by itself',
  }),
  refine: z.enum(['auto', 'off']).default('auto').meta({
    title: 'Refinement',
    description:
      'auto: channels of activations are scaled by powers of two (TRIP), which the weights after them take back, wherever that lowers the error of the layers; off: they stay as they are',
  }),
  attention: z.literal([8, 16]).default(8).meta({
    title: 'Bits of attention',
    description:
      'Of queries, keys, values and attention weights where attention multiplies them, a scale for each token as it comes; 16 leaves both products in float, as activations: 16 does',
  }),
  softmax: z.enum(['float', 'log2']).default('float').meta({
    title: 'Softmax',
    description: 'log2: attention weights become powers of two, in 4 bits',
  }),
  head,
  damping,
});
export type Parameters = z.infer<typeof parameters>;

/** One asymmetric scale for each output channel, as products of integers need it. */
export const formatOf = (rows: number): Format => ({ bits: 4, block: rows, symmetric: false });
