/**
 * Raises the version of the ONNX operator set that a model is written in. Operators whose form changed between the two
 * versions are written in the new one, so that the model computes the same to the bit. What cannot be written is named.
 */
import { WhittleError } from '../errors';
import type { Attribute, AttributeValue, Tensor } from '../onnx/model';
import type { ElementType } from '../onnx/schema';
import { int64Tensor, makeTensor, packFloats, tensorNumbers } from '../onnx/tensor';
import type { Facts } from './facts';
import {
  floatAttribute,
  intAttribute,
  intsAttribute,
  stringAttribute,
  subgraphs,
  type Graph,
  type Node,
} from './graph';

/** A node that cannot be raised. */
export interface Blocker {
  readonly node: string;
  readonly reason: string;
}

/** Versions that can be raised from, and up to which the changes are known. */
const OLDEST = 7;
export const NEWEST_OPSET = 21;

const known = new WeakMap<Facts, Map<number, Blocker | undefined>>();

/**
 * What keeps a model from being raised; undefined where nothing does.
 * @param to 13 or later
 */
export function raiseBlocker(graph: Graph, facts: Facts, to: number): Blocker | undefined {
  const answers = known.get(facts) ?? new Map<number, Blocker | undefined>();
  known.set(facts, answers);
  if (!answers.has(to)) {
    const found = conversions(graph, facts, to);
    answers.set(to, 'edits' in found ? undefined : found);
  }
  return answers.get(to);
}

/**
 * @param to 13 or later; a model that is there already stays as it is
 * @throws WhittleError that names a node that cannot be raised; the graph is as it was then
 */
export function raiseOpset(graph: Graph, facts: Facts, to: number): void {
  if (graph.opset >= to) return;
  const found = conversions(graph, facts, to);
  if (!('edits' in found))
    throw new WhittleError(
      `operator set ${graph.opset} cannot be raised to ${to}: ${found.reason}`,
      {
        where: found.node,
        hint: 'Export the model with a newer operator set',
      },
    );
  graph.requireOpset('', to); // of an edit that puts nodes in, these are of the new version
  for (const edit of found.edits) edit();
}

/** A node, and the versions between which it is written anew. */
interface Place {
  readonly graph: Graph;
  readonly facts: Facts;
  readonly node: Node;
  readonly from: number;
  readonly to: number;
}

type Edit = () => void;
/** How a node is written in the new version: an edit, nothing where it is as it was, or why it cannot be. */
type Rule = (place: Place) => Edit | string | undefined;

function conversions(
  graph: Graph,
  facts: Facts,
  to: number,
): { readonly edits: readonly Edit[] } | Blocker {
  const from = graph.opset;
  const [first] = graph.order;
  if (from < OLDEST)
    return {
      node: first?.id ?? '',
      reason: `the model is of operator set ${from}, before ${OLDEST}, where operators broadcast by attributes`,
    };
  const edits: Edit[] = [];
  for (const node of graph.order) {
    const place = { graph, facts, node, from, to };
    const found = changedInside(place) ?? convert(place);
    if (typeof found === 'string') return { node: node.id, reason: found };
    if (found) edits.push(found);
  }
  return { edits };
}

const convert = (place: Place) =>
  place.node.domain === '' ? RULES[place.node.op]?.(place) : undefined;

/** Bodies of control flow are not rewritten: something in them that would have to be is a reason not to. */
function changedInside({ graph, facts, node, from, to }: Place): string | undefined {
  if (subgraphs(node).length === 0) return undefined;
  const bodies = facts.inner(node);
  if (bodies.length === 0) return 'what its body computes is not known';
  for (const body of bodies)
    for (const inner of body.nodes) {
      const place = { graph, facts: body.facts, node: inner, from, to };
      const found = changedInside(place) ?? convert(place);
      if (typeof found === 'string') return found;
      if (found) return `its body holds a ${inner.op} (${inner.id}) in a form that has changed`;
    }
  return undefined;
}

const crosses = ({ from, to }: Place, version: number): boolean => from < version && version <= to;

// ---- edits

const without = (node: Node, ...names: readonly string[]): ReadonlyMap<string, Attribute> =>
  new Map([...node.attributes].filter(([name]) => !names.includes(name)));

const withAttribute = (node: Node, name: string, value: AttributeValue) =>
  new Map([...node.attributes, [name, { name, value }]]);

/** A constant beside the node, under a fresh name. */
function constant({ graph, node }: Place, what: string, tensor: (name: string) => Tensor): string {
  const name = graph.freshValue(`${node.outputs[0] ?? node.id}_${what}`);
  graph.setInitializer(tensor(name));
  return name;
}

const integers = (place: Place, what: string, values: readonly number[]): string =>
  constant(place, what, (name) => int64Tensor(name, values));

type Real = 'float32' | 'float16' | 'float64';
const REALS: ReadonlySet<ElementType> = new Set<Real>(['float32', 'float16', 'float64']);
const isReal = (type: ElementType): type is Real => REALS.has(type);

/** A number of the element type that a node computes in. */
function real(place: Place, what: string, number: number, type: Real): string {
  const bytes =
    type === 'float64'
      ? new Uint8Array(Float64Array.of(number).buffer)
      : packFloats([number], type);
  return constant(place, what, (name) => makeTensor(name, type, [], bytes));
}

function realType({ graph, facts, node }: Place): Real | undefined {
  const input = node.inputs[0]!;
  const tensor = graph.constant(input);
  const { type } = facts.value(input);
  const found = tensor?.elementType ?? (type.kind === 'tensor' ? type.elementType : 'unknown');
  return isReal(found) ? found : undefined;
}

const untyped = 'the element type of its input is not known';

// ---- rules

const axesToInput =
  (since: number): Rule =>
  (place) => {
    const { graph, node } = place;
    const axes = crosses(place, since) ? intsAttribute(node, 'axes') : undefined;
    return axes
      ? () =>
          graph.replace(node.id, {
            inputs: [node.inputs[0]!, integers(place, 'axes', axes)],
            attributes: without(node, 'axes'),
          })
      : undefined;
  };

/** Before 13 all axes from one on were taken as one. */
const overOneAxis: Rule = (place) => {
  if (!crosses(place, 13)) return undefined;
  const { graph, facts, node } = place;
  const axis = intAttribute(node, 'axis', 1);
  const rank = facts.value(node.inputs[0]!).shape?.length;
  if (rank !== undefined && (axis < 0 ? axis + rank : axis) === rank - 1)
    return () => graph.setAttribute(node.id, 'axis', { kind: 'int', value: rank - 1 });
  return () => overFlattened(place, axis);
};

function overFlattened({ graph, node }: Place, axis: number): void {
  const [input, output] = [node.inputs[0]!, node.outputs[0]!];
  const fresh = (what: string) => graph.freshValue(`${output}_${what}`);
  const [flat, shape, result] = [fresh('flat'), fresh('shape'), fresh('over_rows')];
  graph.insert(
    {
      op: 'Flatten',
      inputs: [input],
      outputs: [flat],
      attributes: { axis: { kind: 'int', value: axis } },
    },
    node,
  );
  graph.insert({ op: 'Shape', inputs: [input], outputs: [shape] }, node);
  graph.replace(node.id, {
    inputs: [flat],
    outputs: [result],
    attributes: withAttribute(node, 'axis', { kind: 'int', value: -1 }),
  });
  graph.insert({ op: 'Reshape', inputs: [result, shape], outputs: [output] }, node);
}

const split: Rule = (place) => {
  const { graph, node } = place;
  const sizes = crosses(place, 13) ? intsAttribute(node, 'split') : undefined;
  if (sizes)
    return () =>
      graph.replace(node.id, {
        inputs: [node.inputs[0]!, integers(place, 'split', sizes)],
        attributes: without(node, 'split'),
      });
  if (!crosses(place, 18) || node.inputs[1]) return undefined;
  return () =>
    graph.setAttribute(node.id, 'num_outputs', { kind: 'int', value: node.outputs.length });
};

const clip: Rule = (place) => {
  const { graph, node } = place;
  if (!crosses(place, 11)) return undefined;
  const type = realType(place);
  if (!type) return untyped;
  return () => {
    const bound = (name: string) =>
      node.attributes.has(name) ? real(place, name, floatAttribute(node, name, 0), type) : '';
    const inputs = [node.inputs[0]!, bound('min'), bound('max')];
    while (inputs.at(-1) === '') inputs.pop();
    graph.replace(node.id, { inputs, attributes: without(node, 'min', 'max') });
  };
};

const pad: Rule = (place) => {
  const { graph, node } = place;
  if (!crosses(place, 11)) return undefined;
  const pads = intsAttribute(node, 'pads');
  const type = realType(place);
  if (!pads) return 'it has no pads';
  if (!type) return untyped;
  return () => {
    const filler = floatAttribute(node, 'value', 0);
    const inputs = [node.inputs[0]!, integers(place, 'pads', pads)];
    if (filler !== 0) inputs.push(real(place, 'value', filler, type));
    graph.replace(node.id, { inputs, attributes: without(node, 'pads', 'value') });
  };
};

const slice: Rule = (place) => {
  const { graph, node } = place;
  if (!crosses(place, 10)) return undefined;
  const [starts, ends, axes] = ['starts', 'ends', 'axes'].map((name) => intsAttribute(node, name));
  if (!starts || !ends) return 'it has no starts or ends';
  return () => {
    const inputs = [
      node.inputs[0]!,
      integers(place, 'starts', starts),
      integers(place, 'ends', ends),
      ...(axes ? [integers(place, 'axes', axes)] : []),
    ];
    graph.replace(node.id, { inputs, attributes: without(node, 'starts', 'ends', 'axes') });
  };
};

const topK: Rule = (place) => {
  const { graph, node } = place;
  if (!crosses(place, 10)) return undefined;
  const k = intAttribute(node, 'k');
  if (k === undefined) return 'it has no k';
  return () =>
    graph.replace(node.id, {
      inputs: [node.inputs[0]!, integers(place, 'k', [k])],
      attributes: without(node, 'k'),
    });
};

const isUsed = ({ graph, node }: Place, output: number): boolean => {
  const value = node.outputs[output] ?? '';
  return value !== '' && (graph.isRead(value) || graph.isOutput(value));
};

/** Outside of training it passes its input on, in every version. */
const dropout: Rule = (place) => {
  const { graph, node } = place;
  if (!crosses(place, 12)) return undefined;
  if (crosses(place, 10) && isUsed(place, 1)) return 'its mask is used, which was of floats';
  return () =>
    graph.replace(node.id, {
      outputs: isUsed(place, 1) ? node.outputs : node.outputs.slice(0, 1),
      attributes: without(node, 'ratio'),
    });
};

const batchNormalisation: Rule = (place) => {
  const { graph, node } = place;
  if (!crosses(place, 14) && !crosses(place, 9)) return undefined;
  if (intAttribute(node, 'spatial', 1) !== 1) return 'it normalises every element by itself';
  if (node.outputs.some((_, i) => i > 0 && isUsed(place, i))) return 'it is set to training';
  return () =>
    graph.replace(node.id, {
      outputs: node.outputs.slice(0, 1),
      attributes: without(node, 'spatial'),
    });
};

/** Upsample, and Resize of operator set 10: coordinates from the corner, and whole scales in all that is known. */
const resize: Rule = (place) => {
  const { graph, node } = place;
  if (!crosses(place, 11)) {
    const mode = stringAttribute(node, 'coordinate_transformation_mode', 'half_pixel');
    return crosses(place, 13) && mode === 'tf_half_pixel_for_nn'
      ? 'its coordinates are those of tf_half_pixel_for_nn'
      : undefined;
  }
  const mode = stringAttribute(node, 'mode', 'nearest');
  const given = scalesOf(place);
  const enlarges = given?.every((scale) => scale >= 1);
  if (mode !== 'linear' && !enlarges)
    return given ? 'it takes nearest pixels to shrink' : 'its scales are not constant';
  return () => {
    const scales =
      node.inputs[1] ??
      constant(place, 'scales', (name) =>
        makeTensor(name, 'float32', [given!.length], packFloats(given!, 'float32')),
      );
    const text = (value: string) => ({ kind: 'string', value }) as const;
    const attributes = {
      mode: text(mode),
      coordinate_transformation_mode: text('asymmetric'),
      nearest_mode: text('floor'),
    };
    graph.replace(node.id, {
      op: 'Resize',
      inputs: [node.inputs[0]!, '', scales],
      attributes: new Map(
        Object.entries(attributes).map(([name, value]) => [name, { name, value }]),
      ),
    });
  };
};

function scalesOf({ graph, facts, node }: Place): readonly number[] | undefined {
  const attribute = node.attributes.get('scales')?.value;
  if (attribute?.kind === 'floats') return attribute.value;
  if (attribute?.kind === 'ints') return attribute.value;
  const input = node.inputs[1] ?? '';
  const tensor = graph.constant(input);
  if (tensor) return [...tensorNumbers(tensor)];
  const elements = facts.value(input).elements?.elements;
  return elements?.every((element) => typeof element === 'number') ? elements : undefined;
}

const roiAlign: Rule = (place) => {
  const { graph, node } = place;
  const name = 'coordinate_transformation_mode';
  if (!crosses(place, 16) || node.attributes.has(name)) return undefined;
  return () => graph.setAttribute(node.id, name, { kind: 'string', value: 'output_half_pixel' });
};

const gridSample: Rule = (place) => {
  const { graph, node } = place;
  if (!crosses(place, 20)) return undefined;
  const mode = stringAttribute(node, 'mode', 'bilinear');
  const renamed = { bilinear: 'linear', bicubic: 'cubic' }[mode] ?? mode;
  return () => graph.setAttribute(node.id, 'mode', { kind: 'string', value: renamed });
};

const renamed =
  (since: number, op: string): Rule =>
  (place) =>
    crosses(place, since) ? () => place.graph.replace(place.node.id, { op }) : undefined;

const cannot =
  (since: number, reason: string): Rule =>
  (place) =>
    crosses(place, since) ? reason : undefined;

const alike = <T>(names: string, rule: T): Record<string, T> =>
  Object.fromEntries(names.split(' ').map((name) => [name, rule]));

/** Operators that are written differently since some version after 7. */
const RULES: Readonly<Record<string, Rule>> = {
  ...alike('Squeeze Unsqueeze ReduceSum', axesToInput(13)),
  ...alike('ReduceMax ReduceMean ReduceMin ReduceProd ReduceL1 ReduceL2', axesToInput(18)),
  ...alike('ReduceLogSum ReduceLogSumExp ReduceSumSquare', axesToInput(18)),
  ...alike('Softmax LogSoftmax Hardmax', overOneAxis),
  ...alike('Resize Upsample', resize),
  Split: split,
  Clip: clip,
  Pad: pad,
  Slice: slice,
  TopK: topK,
  Dropout: dropout,
  BatchNormalization: batchNormalisation,
  Scatter: renamed(11, 'ScatterElements'),
  RoiAlign: roiAlign,
  GridSample: gridSample,
  Scan: cannot(9, 'its bodies ran over batches'),
  DFT: cannot(20, 'its axis is an input since operator set 20'),
  GroupNormalization: cannot(21, 'its scales were per group before operator set 21'),
  ...alike(
    'ATen Affine ConstantFill Crop DynamicSlice GRUUnit GivenTensorFill ImageScaler',
    cannot(10, 'it was an experiment that later operator sets do not have'),
  ),
};
