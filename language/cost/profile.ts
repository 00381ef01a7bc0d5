/**
 * The schema of a target profile (`NAME.target.yaml`): what a device is, in numbers with their units, where the numbers
 * come from, and how far they can be trusted.
 */
import { z } from 'zod';
import { POLARITIES } from '../graph/placement';

const positive = (description: string) => z.number().positive().meta({ description });
const atLeastZero = (description: string) => z.number().min(0).meta({ description });
const count = (description: string) => z.number().int().positive().meta({ description });
const names = (description: string) => z.array(z.string()).meta({ description });

/** Kinds of layers by how they load a device; what a calibration saw is said in these words. */
export const FAMILIES = [
  'convolution',
  'depthwise convolution',
  'grouped convolution',
  'product of one row',
  'product of many rows',
  'attention',
  'recurrent',
  'normalisation',
  'softmax',
  'elementwise',
  'pooling',
  'reduction',
  'resize',
  'movement',
  'conversion',
] as const;
export type Family = (typeof FAMILIES)[number];

const heldOutError = z
  .strictObject({
    of: z.string().meta({ description: 'Which rows were predicted' }),
    rows: count('How many'),
    precision: z
      .enum(['fp32', 'fp16', 'int8'])
      .optional()
      .meta({ description: 'Precision of those rows; every one where it is not given' }),
    meanError: atLeastZero('Mean of |predicted/measured − 1|, 0.05 is 5 %'),
    medianError: atLeastZero('Median of the same'),
    lowError: z.number().meta({ description: 'Tenth percentile of predicted/measured − 1' }),
    highError: z.number().meta({ description: 'Ninetieth percentile of predicted/measured − 1' }),
    rankCorrelation: z.number().min(-1).max(1).meta({ description: 'Spearman’s' }),
  })
  .meta({ description: 'Error on networks that the constants were fitted without' });

const basis = z
  .discriminatedUnion('status', [
    z.strictObject({
      status: z.literal('calibrated'),
      on: z.string().meta({ description: 'What the constants were fitted on' }),
      errors: z.array(heldOutError).min(1),
      limits: z.string().meta({ description: 'What the measurements do not cover' }),
      saw: z
        .array(z.enum(FAMILIES))
        .optional()
        .meta({ description: 'Kinds of layers in the networks measured; others widen the error' }),
    }),
    z.strictObject({
      status: z.literal('analytical'),
      note: z.string().meta({ description: 'What was checked, and what was not' }),
    }),
  ])
  .meta({ description: 'What the numbers rest on' });

const WORKLOAD_KINDS = [
  'conv',
  'matmul',
  'attention',
  'recurrent',
  'elementwise',
  'normalisation',
  'softmax',
  'pooling',
  'reduction',
  'resize',
  'movement',
  'conversion',
] as const;

const fusion = z
  .strictObject({
    afterProducts: names(
      'What a convolution or product takes along: operators, or bias, SiLU, HardSwish',
    ),
    afterOthers: names('What additions, normalisations and pooling take along'),
    integer: z
      .array(z.enum(WORKLOAD_KINDS))
      .meta({ description: 'Kinds of layers that run on quantised codes' }),
    views: z.boolean().optional().meta({
      description: 'Views and the computation of shapes start kernels as well',
    }),
    codecs: z
      .array(z.enum(['LogNP']))
      .optional()
      .meta({
        description:
          'Transforms that integer kernels undo as they read codes and do before they write them, at no time of their own: LogNP, the signed logarithm of QuartDepth',
      }),
  })
  .meta({ description: 'What runs as one kernel' });

const link = z
  .strictObject({
    gbPerS: positive('GB/s to and from another target'),
    fixedUs: atLeastZero('µs for each value that is moved'),
  })
  .meta({ description: 'How values reach other targets' });

const common = {
  title: z.string().min(1),
  summary: z.string().optional(),
  basis,
  sources: z.array(z.string()).min(1).meta({ description: 'Where the constants are from' }),
  runsAt: z
    .enum(['int8', 'fp16'])
    .optional()
    .meta({ description: 'The only precision of the hardware, whatever the model holds' }),
  fusion,
  link,
};

const rates = z
  .strictObject({
    pointwiseGmacPerS: positive('1×1 convolutions and products of matrices, GMAC/s'),
    spatialGmacPerS: positive('Other convolutions, GMAC/s'),
    stridedGmacPerS: positive('3×3 convolutions with a stride, GMAC/s; as spatial').optional(),
    largeGmacPerS: positive('Kernels other than 1×1 and 3×3, GMAC/s; as spatial').optional(),
    shallowGmacPerS: positive(
      'Convolutions of at most four channels, GMAC/s; as spatial',
    ).optional(),
    depthwiseGmacPerS: positive('Depthwise and narrow grouped convolutions, GMAC/s'),
    attentionGmacPerS: positive('Products of two activations, GMAC/s; as pointwise').optional(),
    halfDepth: atLeastZero(
      'Products this deep (input channels × taps) take twice the time per MAC of very deep ones',
    ).optional(),
    weightGbPerS: positive('Reading weights, GB/s: what bounds a product with one row'),
    productGbPerS: positive(
      'Activations of products, GB/s; not given where arithmetic hides them',
    ).optional(),
    activationGbPerS: positive('Reading and writing activations outside products, GB/s'),
    movementGbPerS: positive(
      'Layers that only move data (concatenations, transpositions), GB/s; as other activations',
    ).optional(),
    normalisationGbPerS: positive(
      'Activations of normalisations and softmax, GB/s; as other activations',
    ).optional(),
    gopPerS: positive('Arithmetic outside products, Gop/s'),
    perKernelUs: atLeastZero('µs to start a kernel'),
    perRunUs: atLeastZero('µs for each run of a model, whatever it holds').optional(),
  })
  .meta({ description: 'Rates that kernels achieve' });

/** What kernels and arrays make something of; the words of `Pattern`. */
const PATTERNS = ['unstructured', 'channel', 'block', 'block-punched', 'pattern', 'n:m'] as const;

/** Classes of products between which achieved rates differ. */
export const PRODUCT_CLASSES = [
  'pointwise',
  'spatial',
  'strided',
  'large',
  'shallow',
  'depthwise',
  'attention',
] as const;

const sparseKernels = z
  .array(
    z.strictObject({
      patterns: z.array(z.enum(PATTERNS)).min(1).meta({ description: 'Where the zeros must lie' }),
      layers: z.array(z.enum(PRODUCT_CLASSES)).min(1).meta({ description: 'What they run' }),
      precisions: z.array(z.enum(['fp32', 'fp16', 'int8'])).min(1),
      fromZeros: z
        .number()
        .min(0)
        .max(1)
        .meta({ description: 'Share of zeros from which they are used' }),
      costPerWeight: positive('Time for a weight that is kept over that of a dense kernel'),
      fixedShare: atLeastZero('Share of the dense time that stays however few are kept'),
    }),
  )
  .meta({
    description:
      'Kernels that leave zeros out. Without them zeros are multiplied like any other weight',
  });

const narrowKernels = z
  .array(
    z.strictObject({
      inputs: z.literal([4, 8]).meta({ description: 'Bits of activations' }),
      weights: z.literal([4, 8]).meta({ description: 'Bits of weights' }),
      speedup: positive('Time of an int8 kernel over theirs'),
    }),
  )
  .meta({
    description:
      'Kernels for products with constant weights whose codes stand in bytes and have fewer bits. Without them such codes are multiplied as int8',
  });

const fallback = z
  .strictObject({
    operators: names('Operators that the processor does not run'),
    gmacPerS: positive('GMAC/s'),
    gopPerS: positive('Other arithmetic, Gop/s'),
    gbPerS: positive('GB/s'),
    perCallUs: atLeastZero('µs to hand a layer over and take its result back'),
  })
  .meta({ description: 'The processor that runs what this one cannot' });

export const mobileProfile = z
  .strictObject({
    kind: z.literal('mobile'),
    ...common,
    precisions: z
      .strictObject({ fp32: rates, fp16: rates.optional(), int8: rates.optional() })
      .meta({ description: 'By precision; one that is not given runs as fp32' }),
    overlap: z.enum(['memory', 'launch', 'none']).default('memory').meta({
      description:
        'What is hidden: memory traffic behind arithmetic, the start of a kernel behind the work before it, or nothing',
    }),
    sparseKernels: sparseKernels.optional(),
    narrowKernels: narrowKernels.optional(),
    fallback: fallback.optional(),
  })
  .meta({ title: 'Mobile processor' });

/** Measured here by `whittle calibrate host`; costs are modelled as a mobile processor's are. */
export const hostProfile = z
  .strictObject({
    ...mobileProfile.shape,
    kind: z.literal('host'),
    threads: count('Threads that it was measured with'),
  })
  .meta({ title: 'This machine' });

const besideHardware = z
  .strictObject({
    gmacPerS: positive('GMAC/s'),
    gopPerS: positive('Other arithmetic, Gop/s'),
    gbPerS: positive('GB/s'),
    perCallUs: atLeastZero('µs to hand a layer over and take its result back'),
  })
  .meta({ description: 'The processor that runs what the hardware cannot' });

export const overlayProfile = z
  .strictObject({
    kind: z.literal('fpga'),
    design: z.literal('overlay').optional(),
    ...common,
    clockMhz: positive('MHz'),
    overlay: z.strictObject({
      pixels: count('Output pixels at once'),
      inputChannels: count('Input channels at once'),
      outputChannels: count('Output channels at once'),
      depthwisePixels: count('Output pixels at once of a depthwise convolution'),
      cores: count('Cores on the device; one model runs on one'),
      elementsPerCycle: positive('Elements per cycle of an addition or a global pooling'),
      poolingTapsPerCycle: positive('Window elements per cycle of a pooling'),
      perLayerCycles: atLeastZero('Cycles to start a layer'),
      activationBytesPerCycle: positive('Bytes of activations per cycle'),
      weightBytesPerCycle: positive('Bytes of weights per cycle'),
      operators: names('What it runs; products only with constant weights'),
      free: names('What costs nothing, because layers write where it is needed'),
    }),
    host: besideHardware,
    resourcesPerCore: z.strictObject({
      dsp: count('DSP slices'),
      lut: count('Look-up tables'),
      bram: count('Block RAM of 36 Kib'),
    }),
    budget: z.strictObject({
      dsp: count('DSP slices of the device'),
      lut: count('Look-up tables of the device'),
      bram: count('Block RAM of 36 Kib of the device'),
    }),
  })
  .meta({ title: 'FPGA overlay' });

const resources = (of: string) =>
  z.strictObject({
    dsp: count(`DSP slices ${of}`),
    lut: count(`Look-up tables ${of}`),
    bram: count(`Block RAM of 36 Kib ${of}`),
    uram: z
      .number()
      .int()
      .min(0)
      .default(0)
      .meta({ description: `Ultra RAM of 288 Kib ${of}` }),
  });

const shareOf = (what: string) =>
  z
    .number()
    .positive()
    .max(1)
    .meta({ description: `Share of ${what} that a design can fill` });

export const dataflowProfile = z
  .strictObject({
    kind: z.literal('fpga'),
    design: z.literal('dataflow'),
    ...common,
    runsAt: z.literal('int8').meta({
      description:
        'Floating point becomes fixed point of 8 bits; narrower integers keep their width',
    }),
    clockMhz: positive('MHz'),
    engines: z.strictObject({
      macsPerDsp: z
        .array(
          z.strictObject({
            bits: count('The wider of weights and activations has at most so many bits'),
            macs: count('Multiply-accumulates of one DSP slice per cycle'),
          }),
        )
        .min(1)
        .meta({ description: 'Packing of narrow products into a DSP slice' }),
      startCycles: atLeastZero('Cycles from the first input of an engine to its first output'),
      lutPerEngine: atLeastZero('Look-up tables of an engine’s control'),
      lutScale: positive('Look-up tables built for one that the equations count'),
      lutPerRequantiser: atLeastZero('Look-up tables to scale one output per cycle'),
      dspPerRequantiser: z
        .number()
        .int()
        .min(0)
        .meta({ description: 'DSP slices to scale one output per cycle' }),
      operators: names('What there are engines for; products only with constant weights'),
      free: names('What costs nothing, because streams are only reordered'),
    }),
    dramGbPerS: positive('GB/s of memory: pictures, results, weights that do not fit on the chip'),
    host: besideHardware,
    budget: resources('of the device'),
    usable: z
      .strictObject({
        dsp: shareOf('the DSP slices'),
        lut: shareOf('the look-up tables'),
        bram: shareOf('the block RAM'),
        uram: shareOf('the Ultra RAM'),
      })
      .meta({ description: 'What can be placed and routed' }),
  })
  .meta({ title: 'FPGA dataflow' });

export const systolicProfile = z
  .strictObject({
    kind: z.literal('asic'),
    design: z.literal('systolic').optional(),
    ...common,
    array: z.strictObject({
      rows: count('Processing elements in a column'),
      columns: count('Processing elements in a row'),
      dataflow: z
        .enum(['os', 'ws', 'is'])
        .meta({ description: 'What stays in place: outputs, weights or inputs' }),
      clockMhz: positive('MHz'),
    }),
    sramKib: z.strictObject({
      ifmap: positive('KiB for inputs, half of it filling while the other half is read'),
      filter: positive('KiB for weights, likewise'),
      ofmap: positive('KiB for outputs'),
    }),
    dramGbPerS: positive('GB/s'),
    vectorOpsPerCycle: positive('Arithmetic outside products per cycle'),
    energyPj: z.strictObject({
      integerMultiply: atLeastZero('pJ to multiply two bytes; scales with the product of the bits'),
      integerAdd: atLeastZero('pJ to add into a 32-bit accumulator'),
      fp16Mac: atLeastZero('pJ'),
      fp32Mac: atLeastZero('pJ'),
      op: atLeastZero('pJ for other arithmetic'),
      sramPerByte: z
        .array(z.strictObject({ kib: positive('Size, KiB'), pj: atLeastZero('pJ per byte') }))
        .min(1)
        .meta({ description: 'Memory accesses by size; between sizes on a line in logarithms' }),
      dramPerByte: atLeastZero('pJ'),
    }),
    leakageMw: atLeastZero('mW while a layer runs'),
    zeroGating: z
      .boolean()
      .meta({ description: 'A multiplication by a zero weight costs no energy (and its cycle)' }),
    structuredSparsity: z
      .strictObject({
        of: z.array(count('m of n:m: so many weights in a row')).min(1),
        metadataBits: atLeastZero('Bits that say where a kept weight stood'),
      })
      .optional()
      .meta({ description: 'The array leaves out the zeros of n:m patterns' }),
  })
  .meta({ title: 'Systolic array' });

const accessTo = (memory: string) =>
  z.strictObject({
    bytesPerCycle: positive(`Bytes of ${memory} per cycle`),
    burstBytes: count(`Bytes of a burst: shorter accesses to ${memory} waste the rest`),
    readCycles: atLeastZero(`Cycles until a read of ${memory} answers`),
    writeCycles: atLeastZero(`Cycles until a write to ${memory} is taken`),
  });

export const blockedProfile = z
  .strictObject({
    kind: z.literal('asic'),
    design: z.literal('blocked'),
    ...common,
    runsAt: z.literal('int8').meta({ description: 'Floating point becomes int8' }),
    clockMhz: positive('MHz'),
    cores: count('Cores that share the outputs of a block'),
    unit: z
      .strictObject({
        height: count('Rows'),
        width: count('Columns'),
        depth: count('Output channels'),
        inputs: count('Input channels multiplied at once'),
      })
      .meta({ description: 'Outputs that are multiplied at once' }),
    largestBlock: z
      .strictObject({
        height: count('Rows'),
        width: count('Columns'),
        depth: count('Channels'),
      })
      .meta({ description: 'The most outputs that the accumulators take at once' }),
    buffer: z
      .strictObject({
        banks: count('Banks of 1 KiB for inputs and accumulators'),
        reservedBanks: atLeastZero('Of these for outputs on their way and tables'),
        inputBanks: count('Banks are given to inputs in such numbers'),
        accumulatorBanks: count('And to accumulators in such numbers'),
      })
      .meta({ description: 'The memory inside the unit' }),
    cyclesPerOutput: z
      .strictObject({
        product: atLeastZero('Of convolutions, products and unary operators'),
        multiply: atLeastZero('Of a product of elements'),
        add: atLeastZero('Of a sum or a difference'),
        maximum: atLeastZero('Of a maximum over a window'),
        table: atLeastZero('Of an activation looked up in a table'),
        clip: atLeastZero('Of a rectifier'),
      })
      .meta({ description: 'Cycles of the output unit per element' }),
    sram: accessTo('the memory of activations'),
    storage: accessTo('the memory of weights'),
    encodedBytesPerWeight: positive('Bytes that a weight takes once encoded and padded'),
    operators: names('What it runs; products only with constant weights'),
    free: names('What costs nothing, because results are written where they are needed'),
    host: besideHardware,
  })
  .meta({ title: 'NPU that works in blocks' });

const stages = z
  .strictObject({
    wordBits: count('Bits of a buffer access'),
    wordNs: positive('ns of a buffer access'),
    digitalNs: atLeastZero('ns of a register, a shift or an addition'),
    demuxNs: atLeastZero('ns of a level of the selectors before the rows'),
    muxNs: atLeastZero('ns of a level of the selectors behind the columns'),
    adcBits: count('Bits of a conversion'),
    insideGbitPerS: positive('Gbit/s between the crossbars of a tile'),
    poolingChannels: count('Channels pooled at once'),
    poolingNs: atLeastZero('ns of a pooling window'),
    poolingPj: atLeastZero('pJ of a pooling window'),
  })
  .meta({
    description:
      'Tiles on a mesh that take one output position after another, through stage after stage, as MNSIM 2.0 counts them',
  });

const reramArea = z
  .strictObject({
    cell: atLeastZero('µm² of a cell'),
    rowDriver: atLeastZero('µm² of a row’s driver'),
    adc: atLeastZero('µm² of a converter behind the columns'),
    dac: atLeastZero('µm² of a converter before the rows'),
    besideAdc: atLeastZero(
      'µm² of registers, shifters and adders for each converter behind columns',
    ),
    besideDac: atLeastZero('µm² of registers and selectors for each converter before rows'),
    tileBuffers: atLeastZero('µm² of the buffers of a tile'),
    tileOther: atLeastZero('µm² of what else a tile holds: links, pooling'),
  })
  .meta({ description: 'Area by component, µm²' });

export const reramProfile = z
  .strictObject({
    kind: z.literal('reram'),
    ...common,
    floatBits: count('Fixed-point bits that floating-point weights and inputs are turned into'),
    floatInputBits: count('Of inputs and outputs; as weights').optional(),
    crossbar: z.strictObject({
      rows: count('Word lines'),
      columns: count('Bit lines'),
      cellBits: count('Bits per cell'),
      polarity: z.enum(POLARITIES).meta({
        description:
          'Signed weights by an offset and one more column, by two columns, or by two crossbars',
      }),
      slices: z.enum(['side by side', 'apart']).meta({
        description: 'Where the cells of one weight lie: in one crossbar or in one each',
      }),
      compaction: z
        .boolean()
        .default(false)
        .meta({ description: 'Rows and columns of zeros are left out of the crossbars' }),
      wholeKernels: z
        .boolean()
        .meta({ description: 'A crossbar takes whole kernels: as many input channels as fit' }),
    }),
    analog: z.strictObject({
      dacBits: count('Input bits per read'),
      dacs: count('Rows driven at once'),
      dacNs: atLeastZero('ns'),
      readNs: atLeastZero('ns'),
      adcs: count('Columns converted at once'),
      adcNs: positive('ns per conversion'),
      pipelined: z
        .boolean()
        .meta({ description: 'Driving, reading and converting overlap, else they add up' }),
    }),
    pipelineStages: atLeastZero('Reads from the first input to the first output of a layer'),
    stepsPerLayer: count(
      'Weights are copied until no layer takes more steps than this for its output positions',
    ).optional(),
    tile: z.strictObject({
      crossbars: count('Crossbars'),
      bufferGbPerS: positive('GB/s of the tile’s buffer'),
      linkGbPerS: positive('GB/s to other tiles'),
      accessNs: atLeastZero('ns for the buffers to be ready, for each output position').optional(),
    }),
    tiles: count('Tiles of a chip'),
    digital: z.strictObject({
      gmacPerS: positive('Products of two activations, GMAC/s'),
      gopPerS: positive('Other arithmetic, Gop/s'),
    }),
    energyPj: z.strictObject({
      adc: atLeastZero('pJ per conversion'),
      dacRow: atLeastZero('pJ per row and read'),
      shiftAdd: atLeastZero('pJ per conversion'),
      crossbarRead: atLeastZero('pJ to read a full crossbar'),
      bufferPerBit: atLeastZero('pJ to read, and to write unless given'),
      bufferWritePerBit: atLeastZero('pJ').optional(),
      linkPerBit: atLeastZero('pJ'),
      op: atLeastZero('pJ for digital arithmetic'),
    }),
    areaUm2: reramArea.optional(),
    stages: stages.optional(),
  })
  .meta({ title: 'ReRAM crossbars' });

export const targetProfile = z.discriminatedUnion('kind', [
  mobileProfile,
  hostProfile,
  z.discriminatedUnion('design', [overlayProfile, dataflowProfile]),
  z.discriminatedUnion('design', [systolicProfile, blockedProfile]),
  reramProfile,
]);

/** For editors: a whole profile, or what changes of the one that it extends. */
export function profileSchema(): Record<string, unknown> {
  const { $schema, ...whole } = z.toJSONSchema(targetProfile, { io: 'input' });
  const extending = {
    type: 'object',
    properties: {
      extends: { type: 'string', description: 'Id or path of the profile that this one changes' },
    },
    required: ['extends'],
  };
  return { $schema, title: 'Whittle target profile', anyOf: [extending, whole] };
}

export type MobileProfile = z.infer<typeof mobileProfile> & Identified;
export type HostProfile = z.infer<typeof hostProfile> & Identified;
/** Told by rates that kernels achieve. */
export type RatedProfile = MobileProfile | HostProfile;
export type OverlayProfile = z.infer<typeof overlayProfile> & Identified;
export type DataflowProfile = z.infer<typeof dataflowProfile> & Identified;
export type FpgaProfile = OverlayProfile | DataflowProfile;
export type SystolicProfile = z.infer<typeof systolicProfile> & Identified;
export type BlockedProfile = z.infer<typeof blockedProfile> & Identified;
export type AsicProfile = SystolicProfile | BlockedProfile;
export type ReramProfile = z.infer<typeof reramProfile> & Identified;
export type TargetProfile = RatedProfile | FpgaProfile | AsicProfile | ReramProfile;

interface Identified {
  /** `kind.name` of a bundled profile, the path of another. */
  readonly id: string;
}

/** In a few words for people: where the numbers come from and how far they can be trusted. */
export function describeBasis({ basis }: TargetProfile): string {
  if (basis.status === 'analytical') return `analytical, not validated: ${basis.note}`;
  const percent = (error: number) => `${(100 * error).toFixed(1)} %`;
  const errors = basis.errors.map(
    ({ of, rows, meanError, medianError }) =>
      `${of} within ${percent(meanError)} on average, ${percent(medianError)} in the median (${rows} rows)`,
  );
  return `calibrated on ${basis.on}; held out: ${errors.join('; ')}. ${basis.limits}`;
}
