/** Sequences and optional values. What a sequence holds is followed item by item while its length is known. */
import type { Dim, ValueType } from '../../../onnx/model';
import type { ValueFacts } from '../../facts';
import type { Call, Rule, Rules, Run } from '../call';
import { axisOf, Impossible } from '../dims';
import {
  elementTypeOf,
  joinFacts,
  joinTypes,
  MAX_ELEMENTS,
  ofType,
  scalarOf,
  sequenceOf,
  tensorOf,
  UNKNOWN,
} from '../values';
import { concatenate } from './movement';
import { requestedShape } from './reshaping';

const typeOfItems = (items: readonly ValueFacts[]): ValueType | undefined =>
  items.map((item) => item.type).reduce<ValueType | undefined>(joinTypes, undefined);

const sequence = (items: readonly ValueFacts[]): ValueFacts =>
  sequenceOf(typeOfItems(items), items);

/** The type that the items of an input have in common. */
function itemType(call: Call, index = 0): ValueType | undefined {
  const { type } = call.input(index);
  return type.kind === 'sequence' || type.kind === 'optional' ? type.element : undefined;
}

function anyItem(call: Call, index = 0): ValueFacts {
  const type = itemType(call, index);
  return type ? ofType(type) : UNKNOWN;
}

/** A position among `length` items, from the back when negative. */
function position(call: Call, index: number, length: number): number | undefined {
  const at = call.numbers(index)?.[0];
  return at === undefined ? undefined : at < 0 ? at + length : at;
}

const sequenceAt: Rule = (call) => {
  const items = call.items(0);
  const at = items && position(call, 1, items.length);
  if (items && at !== undefined && !items[at])
    throw new Impossible(`it takes item ${at} of ${items.length}`);
  return (at === undefined ? undefined : items?.[at]) ?? anyItem(call);
};

const sequenceEmpty: Rule = (call) =>
  sequenceOf({ kind: 'tensor', elementType: call.typeAttribute('dtype', 'float32') }, []);

const sequenceInsert: Rule = (call) => {
  const items = call.items(0);
  const added = call.input(1);
  const at = items && (call.has(2) ? position(call, 2, items.length) : items.length);
  if (items && at !== undefined) return sequence(items.toSpliced(at, 0, added));
  return sequenceOf(joinTypes(itemType(call), added.type));
};

const sequenceErase: Rule = (call) => {
  const items = call.items(0);
  const at = items && (call.has(1) ? position(call, 1, items.length) : items.length - 1);
  if (items && at !== undefined) return sequenceOf(itemType(call), items.toSpliced(at, 1));
  return sequenceOf(itemType(call));
};

const sequenceLength: Rule = (call) => scalarOf('int64', call.items(0)?.length ?? null);

const splitToSequence: Rule = (call) => {
  const x = call.input(0);
  if (!x.shape) return sequenceOf({ kind: 'tensor', elementType: call.type(0) });
  const axis = axisOf(call.int('axis', 0), x.shape.length);
  const keep = call.has(1) || call.int('keepdims', 1) !== 0;
  const part = (size: Dim) =>
    call.like(
      keep
        ? x.shape!.map((dim, i) => (i === axis ? size : dim))
        : x.shape!.filter((_, i) => i !== axis),
    );
  const sizes = partSizes(call, x.shape[axis]!);
  return sizes ? sequence(sizes.map(part)) : sequenceOf(part(call.has(1) ? null : 1).type);
};

/** A list of sizes, or one size for all parts but perhaps the last; ones by default. */
function partSizes(call: Call, total: Dim): readonly Dim[] | undefined {
  if (call.has(1) && call.shape(1)?.length === 1) return requestedShape(call, 1);
  const size = call.has(1) ? call.numbers(1)?.[0] : 1;
  if (size === undefined || size < 1 || typeof total !== 'number') return undefined;
  const count = Math.ceil(total / size);
  if (count > MAX_ELEMENTS) return undefined;
  return Array.from({ length: count }, (_, i) => Math.min(size, total - i * size));
}

const concatFromSequence: Rule = (call) => {
  const items = call.items(0);
  const stack = call.int('new_axis', 0) === 1;
  const type = elementTypeOf(anyItem(call));
  const givenAxis = call.int('axis', 0);
  if (!items?.length) return tensorOf(type, unknownConcatenation(anyItem(call), givenAxis, stack));
  if (!stack) return tensorOf(type, concatenate(call, items, givenAxis).shape);
  const shape = items.reduce(joinFacts).shape;
  if (!shape) return tensorOf(type, undefined);
  return tensorOf(type, shape.toSpliced(axisOf(givenAxis, shape.length + 1), 0, items.length));
};

function unknownConcatenation(item: ValueFacts, givenAxis: number, stack: boolean) {
  if (!item.shape) return undefined;
  const axis = axisOf(givenAxis, item.shape.length + (stack ? 1 : 0));
  return item.shape.toSpliced(axis, stack ? 0 : 1, null);
}

/** Runs its body for every item of input 0; other sequences advance with it, tensors stay. */
const sequenceMap: Rule = (call) => {
  const length = call.items(0)?.length;
  const itemInputs = call.inputs.map((facts, i) =>
    facts?.type.kind === 'sequence' ? anyItem(call, i) : facts,
  );
  const general = call.run('body', itemInputs);
  call.keep('body', general, length ?? null);
  if (length === undefined || length > 64)
    return general.outputs.map((output) => sequenceOf(output.type));
  const runs: Run[] = Array.from({ length }, (_, at) =>
    call.run(
      'body',
      call.inputs.map((facts, i) => (call.items(i) ? call.items(i)![at] : facts)),
    ),
  );
  return general.outputs.map((output, i) =>
    length === 0 ? sequenceOf(output.type, []) : sequence(runs.map((run) => run.outputs[i]!)),
  );
};

const optional: Rule = (call) => {
  const content = call.inputs[0];
  return sequenceOf(content?.type, content ? [content] : undefined, 'optional');
};

/** Takes plain values as well, from opset 18 on. */
const optionalGetElement: Rule = (call) => {
  const given = call.input(0);
  return given.type.kind === 'optional' ? (call.items(0)?.[0] ?? anyItem(call)) : given;
};

const optionalHasElement: Rule = (call) => {
  const given = call.inputs[0];
  const present = given ? (given.type.kind !== 'optional' || call.items(0) ? 1 : null) : 0;
  return scalarOf('bool', present);
};

export const sequences: Rules = {
  ConcatFromSequence: concatFromSequence,
  SequenceAt: sequenceAt,
  SequenceConstruct: (call) => sequence(call.inputs.map((_, i) => call.input(i))),
  SequenceEmpty: sequenceEmpty,
  SequenceErase: sequenceErase,
  SequenceInsert: sequenceInsert,
  SequenceLength: sequenceLength,
  SequenceMap: sequenceMap,
  SplitToSequence: splitToSequence,
  Optional: optional,
  OptionalGetElement: optionalGetElement,
  OptionalHasElement: optionalHasElement,
};
