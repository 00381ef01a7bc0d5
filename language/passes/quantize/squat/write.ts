/**
 * Matrix layers on codes of two widths: TopK, threshold, scale and range of each token's width, and one product of integers.
 * Codes stand in bytes, those of 4 bits from −8 to 7: to the bit what a product of such codes gives.
 */
import type { AttentionCore } from '../../../graph/match/attention';
import type { Graph, Node } from '../../../graph/graph';
import { elementCount } from '../../../onnx/tensor';
import { int8Codes } from '../../affine';
import { Builder } from '../../builder';
import { Inserter } from '../../inserter';
import { matrixOf, type Linear } from '../../linear';
import { removeRead, weightInputs, type WeightInput } from '../../weights';
import { writeImportant, type Ranker } from './importance';
import type { Parameters } from './parameters';
import { WEIGHT_CODES, type ActivationScales, type Decisions } from './plan';
import { codesOf } from './scales';

/** What is added to signed codes, so that they are bytes. */
const MIDDLE = 128;

/** Codes of a value, and the scale of its tokens. */
interface Coded {
  readonly codes: string;
  readonly zeroPoint: string;
  readonly scale: string;
}

const UNDECIDED: ActivationScales = { signed: true, important: 1, others: 1 };

export class MixedWriter {
  readonly #coded = new Map<string, Coded>();
  readonly #important = new Map<string, string>();

  constructor(
    private readonly graph: Graph,
    private readonly parameters: Parameters,
    private readonly decisions: Decisions,
  ) {}

  quantiseLayer(layer: Linear, { core }: Ranker): void {
    const { graph, decisions } = this;
    const node = graph.node(layer.node)!;
    const bias = node.inputs[2];
    const output = node.outputs[0]!;
    const [read] = weightInputs(graph, node) as [WeightInput];
    const weightScale = decisions.weights[layer.node] ?? 1;
    const { codes, zeroPoint, scale } = this.#codesOf(layer.activation, core, node);
    const build = new Builder(graph, node, output);
    const dims = [layer.rows, layer.columns];
    const density = () => ({ nonzeros: elementCount(dims), estimated: true });
    const weights = new Inserter(graph).constant(
      `${read.source}/codes`,
      'int8',
      dims,
      () => weightCodes(read, layer, weightScale),
      decisions.open ? density : undefined,
    );
    const product = graph.freshValue(`${output}/product`);
    graph.replace(node.id, {
      op: 'MatMulInteger',
      domain: '',
      inputs: [codes, weights, zeroPoint],
      outputs: [product],
      attributes: new Map(),
    });
    const real = build.cast(product, 'real', 'float32');
    const scales = build.node('Mul', 'scales', [scale, build.number('weight_scale', weightScale)]);
    const scaled = build.node('Mul', 'scaled', [real, scales]);
    const last = bias ? build.node('Add', 'sum', [scaled, bias]) : scaled;
    graph.renameOutput(graph.producer(last)!.id, last, output);
    removeRead(graph, read);
  }

  #codesOf(value: string, core: AttentionCore | undefined, near: Node): Coded {
    const known = this.#coded.get(value);
    if (known) return known;
    const { important, others } = this.parameters;
    const { signed, ...scales } = this.decisions.activations[value] ?? UNDECIDED;
    const build = new Builder(this.graph, near, `${value}/squat`);
    const [wide, narrow] = [codesOf(important, signed), codesOf(others, signed)];
    const mask =
      core && (important !== others || scales.important !== scales.others)
        ? this.#importantBy(core)
        : undefined;
    const either = (name: string, a: number, b: number) =>
      mask === undefined || a === b
        ? build.number(name, a)
        : build.node('Where', name, [
            mask,
            build.number(`${name}_important`, a),
            build.number(`${name}_others`, b),
          ]);
    const scale = either('scale', scales.important, scales.others);
    const steps = build.node('Round', 'steps', [build.node('Div', 'exact', [value, scale])]);
    const above = build.node('Max', 'above', [steps, either('low', wide.low, narrow.low)]);
    const within = build.node('Min', 'within', [above, either('high', wide.high, narrow.high)]);
    const shifted = signed
      ? build.node('Add', 'shifted', [within, build.number('middle', MIDDLE)])
      : within;
    const codes = build.cast(shifted, 'codes', 'uint8');
    const zeroPoint = build.byte('zero_point', signed ? MIDDLE : 0);
    const coded = { codes, zeroPoint, scale };
    this.#coded.set(value, coded);
    return coded;
  }

  #importantBy(core: AttentionCore): string {
    const known = this.#important.get(core.softmax.id);
    if (known !== undefined) return known;
    const important = writeImportant(this.graph, core, this.parameters);
    this.#important.set(core.softmax.id, important);
    return important;
  }
}

function weightCodes({ tensor }: WeightInput, layer: Linear, scale: number): Uint8Array {
  const { values } = matrixOf(tensor, layer);
  const one = { channels: 1, inner: values.length };
  const codes = int8Codes(values, one, [scale], -WEIGHT_CODES.low);
  return Uint8Array.from(codes, (code) => Math.min(WEIGHT_CODES.high, code));
}
