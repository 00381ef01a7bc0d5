/** Sizes for the free dimensions of a graph's inputs, from what the user says and a batch of 1 otherwise. */
import { didYouMean, WhittleError } from '../errors';
import type { Dim, Shape, ValueInfo } from '../onnx/model';
import type { ShapeBindings } from './facts';
import type { Graph } from './graph';
import { freshName } from './names';
import { solveFor, substitute, symbolsIn } from './shapes/dims';

export interface BoundShapes {
  /** For every tensor input whose rank is known: numbers, and symbols where a size is still free. */
  readonly inputs: ReadonlyMap<string, Shape>;
  /** Leading dimensions taken as 1, by symbol, or as `input[0]` where they have none. */
  readonly assumed: Record<string, number>;
  /** Symbols without a size, and the inputs that they stand in. */
  readonly free: { symbol: string; inputs: string[] }[];
}

/** An input with a symbol for every dimension that the model leaves open. */
interface OpenInput {
  readonly name: string;
  readonly shape: Shape | undefined;
}

/**
 * Bindings name a symbol (`batch: 1`) or give the shape of an input (`image: [1, 3, 32, 32]`), which binds the symbols
 * in it everywhere. An unnamed dimension can be bound as `input_axis2` or `input[2]`.
 * @throws WhittleError for a binding of nothing, a wrong rank, a negative size, or two sizes for one symbol.
 */
export function bindShapes(graph: Graph, bindings: ShapeBindings): BoundShapes {
  const opened = openInputs(graph);
  const sizes = new Map<string, number>();
  const whole = new Map<string, readonly number[]>();
  for (const [name, value] of Object.entries(bindings)) {
    const target = targetOf(name, value, opened);
    if (target.kind === 'symbol') bindSymbol(sizes, target.symbol, target.size, name);
    else whole.set(target.input.name, checkShape(target.input, target.shape));
  }
  for (const input of opened.inputs) bindInput(sizes, input, whole.get(input.name));
  const solve = () => {
    for (const input of opened.inputs) solveExpressions(sizes, input, whole.get(input.name));
  };
  solve();
  const assumed = assumeBatch(opened, sizes);
  solve();
  const inputs = new Map<string, Shape>();
  for (const { name, shape } of opened.inputs) {
    const bound = whole.get(name) ?? shape?.map((dim) => substitute(dim, sizes));
    if (bound) inputs.set(name, checkSizes(name, bound));
  }
  return { inputs, assumed, free: freeSymbols(inputs) };
}

// ---- what can be bound

interface OpenedInputs {
  readonly inputs: readonly OpenInput[];
  /** The made-up symbols of unnamed dimensions, by the way of writing `input[axis]`. */
  readonly unnamed: ReadonlyMap<string, string>;
  /** Every symbol that a binding may name. */
  readonly symbols: ReadonlySet<string>;
}

function openInputs(graph: Graph): OpenedInputs {
  const symbols = new Set<string>();
  for (const info of graph.inputs)
    for (const dim of shapeOf(info) ?? [])
      if (typeof dim === 'string') for (const name of [dim, ...symbolsIn(dim)]) symbols.add(name);
  const unnamed = new Map<string, string>();
  const inputs = graph.inputs.map((info) => {
    const shape = shapeOf(info)?.map((dim, axis) => {
      if (dim !== null && dim !== 0) return dim;
      const symbol = freshName(`${info.name}_axis${axis}`, (name) => symbols.has(name));
      symbols.add(symbol);
      unnamed.set(`${info.name}[${axis}]`, symbol);
      return symbol;
    });
    return { name: info.name, shape };
  });
  return { inputs, unnamed, symbols };
}

const shapeOf = ({ type }: ValueInfo): Shape | undefined =>
  type.kind === 'tensor' || type.kind === 'sparse' ? type.shape : undefined;

type Target =
  | { readonly kind: 'symbol'; readonly symbol: string; readonly size: number }
  | { readonly kind: 'input'; readonly input: OpenInput; readonly shape: readonly number[] };

function targetOf(name: string, value: number | readonly number[], opened: OpenedInputs): Target {
  const input = opened.inputs.find((candidate) => candidate.name === name);
  const symbol = opened.symbols.has(name) ? name : opened.unnamed.get(name);
  if (typeof value === 'number') {
    if (symbol !== undefined) return { kind: 'symbol', symbol, size: value };
    if (input?.shape?.length === 1) return { kind: 'input', input, shape: [value] };
    if (input)
      throw new WhittleError(`${name} is an input and needs a whole shape, not one size`, {
        hint: describeInput(input),
      });
  } else if (input) return { kind: 'input', input, shape: value };
  else if (symbol !== undefined && value.length === 1)
    return { kind: 'symbol', symbol, size: value[0]! };
  else if (symbol !== undefined)
    throw new WhittleError(`${name} is one dimension and takes one size, not ${value.length}`);
  const names = [...opened.inputs.map((candidate) => candidate.name), ...opened.symbols];
  throw new WhittleError(`the model has no input and no free dimension called ${name}`, {
    hint: didYouMean(name, names) || `It has ${names.join(', ') || 'no inputs'}`,
  });
}

const describeInput = ({ name, shape }: OpenInput): string =>
  `The model declares ${name} as ${shape ? `[${shape.join(', ')}]` : 'a tensor of any rank'}`;

// ---- binding

function checkShape(input: OpenInput, given: readonly number[]): readonly number[] {
  if (input.shape && input.shape.length !== given.length)
    throw new WhittleError(
      `${input.name} has ${input.shape.length} dimensions and was given ${given.length}`,
      { hint: describeInput(input) },
    );
  given.forEach((size, axis) => checkSize(`${input.name}[${axis}]`, size));
  return given;
}

function checkSize(where: string, size: number): void {
  if (!Number.isSafeInteger(size) || size < 0)
    throw new WhittleError(`${size} is no size for ${where}`, {
      hint: 'Sizes are whole numbers from 0 on',
    });
}

function bindSymbol(sizes: Map<string, number>, symbol: string, size: number, by: string): void {
  checkSize(symbol, size);
  const before = sizes.get(symbol);
  if (before !== undefined && before !== size)
    throw new WhittleError(`${symbol} is ${before} and, by ${by}, also ${size}`, {
      hint: 'One symbol has one size in the whole model',
    });
  sizes.set(symbol, size);
}

/** Binds the symbols of an input by the shape that it was given. */
function bindInput(
  sizes: Map<string, number>,
  { name, shape }: OpenInput,
  given: readonly number[] | undefined,
): void {
  given?.forEach((size, axis) => {
    const dim = shape?.[axis];
    if (typeof dim === 'string' && isSymbol(dim)) bindSymbol(sizes, dim, size, name);
    else if (typeof dim === 'number' && dim !== size)
      throw new WhittleError(`${name}[${axis}] is ${dim} in the model and cannot be ${size}`);
  });
}

const isSymbol = (dim: string): boolean => symbolsIn(dim)[0] === dim;

/** Batch 1 unless set: leading dimensions of inputs with more than one. */
function assumeBatch(
  { inputs, unnamed }: OpenedInputs,
  sizes: Map<string, number>,
): Record<string, number> {
  const madeUp = new Map([...unnamed].map(([written, symbol]) => [symbol, written]));
  const assumed: Record<string, number> = {};
  for (const { shape } of inputs) {
    const batch = shape && shape.length >= 2 ? shape[0]! : null;
    if (typeof batch !== 'string' || !isSymbol(batch) || sizes.has(batch)) continue;
    sizes.set(batch, 1);
    assumed[madeUp.get(batch) ?? batch] = 1;
  }
  return assumed;
}

/** `past + sequence` given as 21 while `sequence` is 16 makes `past` 5. */
function solveExpressions(
  sizes: Map<string, number>,
  { name, shape }: OpenInput,
  given: readonly number[] | undefined,
): void {
  given?.forEach((size, axis) => {
    const dim = shape?.[axis];
    if (typeof dim !== 'string' || isSymbol(dim) || sizes.has(dim)) return;
    const left = substitute(dim, sizes);
    if (typeof left === 'number' && left !== size)
      throw new WhittleError(`${name}[${axis}] is ${dim}, which makes ${left}, not ${size}`);
    const solved = solveFor(left, size);
    if (solved) bindSymbol(sizes, solved.symbol, solved.size, name);
  });
}

function checkSizes(name: string, shape: Shape): Shape {
  shape.forEach((dim, axis) => {
    if (typeof dim === 'number') checkSize(`${name}[${axis}]`, dim);
  });
  return shape;
}

function freeSymbols(inputs: ReadonlyMap<string, Shape>): { symbol: string; inputs: string[] }[] {
  const free = new Map<string, Set<string>>();
  const note = (dim: Dim, input: string) => {
    if (typeof dim !== 'string') return;
    for (const symbol of symbolsIn(dim)) {
      const found = free.get(symbol);
      if (found) found.add(input);
      else free.set(symbol, new Set([input]));
    }
  };
  for (const [name, shape] of inputs) for (const dim of shape) note(dim, name);
  return [...free].map(([symbol, names]) => ({ symbol, inputs: [...names] }));
}

/** `image=1,3,224,224` for an input (`ids=16,` for a vector), `batch=8` for a symbol; undefined for anything else. */
export function readBinding(
  text: string,
): { readonly name: string; readonly size: number | number[] } | undefined {
  const [, name, sizes] = /^(.+)=(\d+(?:[,x×]\d+)*,?)$/.exec(text) ?? [];
  if (name === undefined || sizes === undefined) return undefined;
  const isSymbol = /^\d+$/.test(sizes);
  return { name, size: isSymbol ? Number(sizes) : sizes.match(/\d+/g)!.map(Number) };
}
