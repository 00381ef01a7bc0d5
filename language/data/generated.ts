/**
 * Made-up inputs, for models that nobody gave data for: of the types and shapes that the model declares, and the same in every
 * run. They show that a model runs and whether two models compute the same; they say nothing about how good either is.
 */
import { WhittleError } from '../errors';
import type { Dim } from '../onnx/model';
import { elementCount } from '../onnx/tensor';
import { MADE_UP_INPUTS } from '../protocol';
import type { Batch, Dataset } from './dataset';
import type { Description } from './description';
import { isFeedType, packNumbers, stagingFor, type FeedTensor, type ModelInput } from './feed';
import { integerBelow, normal, randomStream, type Random } from './random';

/** Sizes for free dimensions: by symbol (`batch: 1`) or for a whole input (`image: [1, 3, 32, 32]`). */
export type Sizes = Readonly<Record<string, number | readonly number[]>>;

const DEFAULT_SAMPLES = 8;
/** A shape beyond this is a mistake, or an attack. */
const MAX_ELEMENTS = 2 ** 28;

export function generatedDataset(
  description: Pick<Description, 'samples' | 'seed' | 'metric'>,
): Dataset {
  const samples = description.samples ?? DEFAULT_SAMPLES;
  const seed = description.seed ?? 0;
  return {
    name: MADE_UP_INPUTS,
    generated: true,
    samples,
    metric: description.metric,
    folder: '.',
    step: undefined,
    bind(inputs, sizes = {}) {
      const shapes = inputs.map((input) => [input, generatedDims(input, sizes)] as const);
      return {
        batch: 1,
        batched: true,
        elements: Math.max(0, ...shapes.map(([, dims]) => elementCount(dims))),
        dims: new Map(shapes.map(([input, dims]) => [input.name, dims])),
        *batches() {
          for (let sample = 0; sample < samples; sample++) yield makeUp(shapes, sample, seed);
        },
      };
    },
  };
}

function makeUp(
  shapes: readonly (readonly [ModelInput, readonly number[]])[],
  sample: number,
  seed: number,
): Batch {
  const tensors = shapes.map(([input, dims]): [string, FeedTensor] => {
    const random = randomStream(`${input.name} ${sample} ${seed}`);
    return [input.name, generatedTensor(input, dims, random)];
  });
  return {
    samples: [sample],
    inputs: new Map(tensors),
    target: undefined,
    mask: undefined,
    extra: new Map(),
  };
}

/**
 * Floats are standard normal. Integers that index something are spread over it; bytes over all their values, as those of an
 * image; other integers are 1, which masks, lengths and factors take best. Booleans are even odds, strings `a`.
 */
function generatedTensor(
  { name, elementType: type, below }: ModelInput,
  dims: readonly number[],
  random: Random,
): FeedTensor {
  const size = elementCount(dims);
  if (type === 'string') return { type, dims, data: new Array<string>(size).fill('a') };
  if (!isFeedType(type)) throw new Error(`${name} was bound as ${type}`);
  const numbers = stagingFor(type, size);
  const next = generator(type, below, random);
  for (let i = 0; i < size; i++) numbers[i] = next();
  return { type, dims, data: packNumbers(type, numbers, () => `input ${name}`) };
}

function generator(
  type: FeedTensor['type'],
  below: number | undefined,
  random: Random,
): () => number {
  if (type.startsWith('float')) return () => normal(random);
  if (type === 'bool') return () => integerBelow(random, 2);
  const range = { uint8: [0, 256], int8: [-128, 256] }[type as string] ?? [1, 1];
  const [first, count] = below === undefined ? range : [0, below];
  return () => first! + integerBelow(random, count!);
}

/** A leading free dimension is the batch and is taken as 1; any other has to be given. */
function generatedDims({ name, elementType, shape }: ModelInput, sizes: Sizes): readonly number[] {
  const where = `input ${name}`;
  if (elementType !== 'string' && !isFeedType(elementType))
    throw new WhittleError(`no input of ${elementType} can be made up`, { where });
  const whole = sizeFor(sizes, name);
  const dims = Array.isArray(whole)
    ? (whole as readonly number[])
    : (shape ?? unknownShape(where)).map((dim, axis) => {
        const size = typeof dim === 'string' ? sizeFor(sizes, dim) : dim;
        if (typeof size === 'number') return size;
        return axis === 0 ? 1 : freeDimension(dim, where);
      });
  if (
    dims.some((dim) => !Number.isSafeInteger(dim) || dim < 0) ||
    elementCount(dims) > MAX_ELEMENTS
  )
    throw new WhittleError(`no input of ${dims.join(' × ')} can be made up`, { where });
  return dims;
}

const sizeFor = (sizes: Sizes, name: string): Sizes[string] | undefined =>
  Object.hasOwn(sizes, name) ? sizes[name] : undefined;

function unknownShape(where: string): never {
  throw new WhittleError('the model does not say how many dimensions this input has', {
    where,
    hint: 'Give its shape under shapes',
  });
}

function freeDimension(dim: Dim, where: string): never {
  throw new WhittleError(`dimension ${dim ?? '?'} is free`, {
    where,
    hint:
      typeof dim === 'string'
        ? `Give its size: shapes: { ${dim}: 128 }`
        : 'Give its shape under shapes',
  });
}
