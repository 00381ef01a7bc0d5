/**
 * The two products of attention on codes in bytes, every scale that of a token: Q·Kᵀ on rows of Q and columns of Kᵀ; P·V on
 * rows of P once the scale of each token of V is part of its column of P, since no integer product takes scales along what
 * it sums over. What a token is rounded to depends on no later token, nor on when it is computed: keys and values from a
 * cache have the codes that they had. Shen et al.: Agile-Quant. AAAI 2024, where queries, keys and values have 8 bits.
 */
import type { Facts } from '../../../graph/facts';
import type { Graph, Node } from '../../../graph/graph';
import {
  attentionCores,
  isFusedAttention,
  type AttentionCore,
} from '../../../graph/match/attention';
import { Builder } from '../../builder';
import type { Refusal } from '../../pass';
import { isQuantised } from '../../weights';
import { LARGEST_POWER, quantiseSoftmax } from './log2';
import type { Parameters } from './parameters';
import { SMALLEST_SCALE } from './write';

/** A product of two activations, which no layer with weights is. */
export interface AttentionProduct {
  readonly node: string;
  readonly kind: 'scores' | 'mixture';
  readonly core: AttentionCore;
}

/** By node: the products that integers can take, and why not the others. */
export function attentionProducts(
  graph: Graph,
  facts: Facts,
): ReadonlyMap<string, AttentionProduct | string> {
  const out = new Map<string, AttentionProduct | string>();
  for (const core of attentionCores(graph, facts)) {
    const { scores, product } = core;
    out.set(
      scores.id,
      productBlocker(graph, facts, scores) ?? { node: scores.id, kind: 'scores', core },
    );
    out.set(
      product.id,
      productBlocker(graph, facts, product) ??
        weightsBlocker(graph, facts, core) ?? { node: product.id, kind: 'mixture', core },
    );
  }
  for (const node of graph.order)
    if (isFusedAttention(node)) out.set(node.id, 'it multiplies within one operator, in float');
  return out;
}

function productBlocker(graph: Graph, facts: Facts, node: Node): string | undefined {
  if (node.op !== 'MatMul') return `${node.op} of two activations has no form in integers here`;
  for (const value of node.inputs) {
    const { type, shape } = facts.value(value);
    if (isQuantised(graph, value)) return 'it is quantised already';
    if (type.kind !== 'tensor' || type.elementType !== 'float32')
      return `it computes in ${type.kind === 'tensor' ? type.elementType : type.kind}; only float32 is quantised`;
    if (shape === undefined) return `the rank of ${value} is not known`;
    if (shape.length < 2) return `${value} is no matrix`;
  }
  return undefined;
}

/** Rows of attention weights are to come from the softmax as they are: not negative, and powers of two where they were. */
function weightsBlocker(
  graph: Graph,
  facts: Facts,
  { softmax, probabilities, product }: AttentionCore,
): string | undefined {
  if (product.inputs[0] !== probabilities) return 'attention weights are its right operand';
  for (let value = probabilities; value !== softmax.outputs[0];) {
    const maker = graph.producer(value)!;
    const next = KEEPING.has(maker.op) ? maker.inputs[0] : zeroesSome(facts, maker);
    if (next === undefined) return `${maker.op} stands between its Softmax and it`;
    value = next;
  }
  return undefined;
}

const KEEPING = new Set(['Identity', 'Cast', 'Dropout']);

/** What Where reads beside nothing but zeros, as exporters put it behind rows that are masked throughout. */
function zeroesSome(facts: Facts, { op, inputs }: Node): string | undefined {
  if (op !== 'Where') return undefined;
  const isZero = (value: string) =>
    facts.value(value).elements?.elements.every((element) => element === 0) === true;
  const [, chosen, otherwise] = inputs as [string, string, string];
  if (isZero(chosen)) return otherwise;
  return isZero(otherwise) ? chosen : undefined;
}

/** @returns the products that a step selected and leaves in float, by its parameters */
export function quantiseAttention(
  graph: Graph,
  facts: Facts,
  products: readonly AttentionProduct[],
  { attention, activations, softmax }: Parameters,
): Refusal[] {
  const floating =
    activations === 16 ? 'activations: 16' : attention === 16 ? 'attention: 16' : undefined;
  const left: Refusal[] = [];
  for (const { node: id, kind, core } of products) {
    const node = graph.node(id)!;
    const isLogarithmic = softmax === 'log2' && kind === 'mixture';
    if (isLogarithmic) quantiseSoftmax(graph, graph.node(core.softmax.id)!);
    if (floating === undefined) {
      const writer = new ProductWriter(graph, node);
      if (kind === 'scores') writer.writeScores();
      else writer.writeMixture(facts.value(node.inputs[1]!).shape!.length, isLogarithmic);
    } else if (!isLogarithmic)
      left.push({ node: id, reason: `\`${floating}\` leaves it in float` });
  }
  return left;
}

/** Signed codes are −127 to 127, stored with this added: the kernels with two unsigned operands saturate nowhere. */
const MIDDLE = 128;
const HIGHEST_SIGNED = 127;
const HIGHEST = 255;
const BYTE = 256;
/** Powers of two come out of Exp a little off; the half of the smallest that is kept is to become nothing. */
const SLACK = 0.25;

class ProductWriter {
  readonly #build: Builder;

  constructor(
    private readonly graph: Graph,
    private readonly node: Node,
  ) {
    this.#build = new Builder(graph, node, node.outputs[0]!);
  }

  writeScores(): void {
    const build = this.#build;
    const [queries, keys] = this.node.inputs as [string, string];
    const q = this.#signed(queries, 'query', -1);
    const k = this.#signed(keys, 'key', -2);
    const middle = this.#middle();
    const sum = this.#product([q.codes, k.codes, middle, middle]);
    const byQuery = build.node('Mul', 'by_query', [sum, q.scale]);
    this.#finish(build.node('Mul', 'scaled', [byQuery, k.scale]));
  }

  /** @param rank of V */
  writeMixture(rank: number, isLogarithmic: boolean): void {
    const build = this.#build;
    const [weights, values] = this.node.inputs as [string, string];
    const v = this.#signed(values, 'value', -1, isLogarithmic);
    const columns = build.turned(v.scale, 'value_scales', rank);
    const shares = build.node('Mul', 'shares', [weights, columns]);
    const { sum, scale } = isLogarithmic
      ? this.#shifted(shares, v.codes)
      : this.#rounded(shares, v.codes);
    this.#finish(build.node('Mul', 'scaled', [sum, scale]));
  }

  /** Rows of what is not negative, in steps of their largest / 255. */
  #rounded(shares: string, values: string): { sum: string; scale: string } {
    const scale = this.#scaleOf(shares, 'share', -1, HIGHEST);
    const steps = this.#build.node('Round', 'share_steps', [
      this.#build.node('Div', 'exact_shares', [shares, scale]),
    ]);
    const codes = this.#build.cast(steps, 'share_codes', 'uint8');
    return { sum: this.#product([codes, values, '', this.#middle()]), scale };
  }

  /**
   * Rows of powers of two, each a shift of up to 15 against the largest of its row; smaller ones are nothing. A byte holds
   * shifts of 7, so that there are two products, of the high and the low byte of 2^(15 − shift): to the bit what a sum
   * of shifted codes is.
   */
  #shifted(shares: string, values: string): { sum: string; scale: string } {
    const build = this.#build;
    const scale = this.#scaleOf(shares, 'share', -1, LARGEST_POWER);
    const near = build.node('Div', 'exact_powers', [shares, scale]);
    const powers = build.node('Floor', 'powers', [
      build.node('Add', 'nearly_powers', [near, build.number('slack', SLACK)]),
    ]);
    const byte = build.number('byte', BYTE);
    const high = build.node('Floor', 'high', [build.node('Div', 'bytes', [powers, byte])]);
    const low = build.node('Sub', 'low', [powers, build.node('Mul', 'high_part', [high, byte])]);
    const middle = this.#middle();
    const codes = [high, low].map((part) => build.cast(part, 'power_codes', 'uint8'));
    const sumOfHigh = this.#product([codes[0]!, values, '', middle]);
    const second = build.node('MatMulInteger', 'second', [codes[1]!, values, '', middle]);
    const sumOfLow = build.cast(second, 'real_second', 'float32');
    const raised = build.node('Mul', 'raised', [sumOfHigh, byte]);
    return { sum: build.node('Add', 'sum', [raised, sumOfLow]), scale };
  }

  /** Codes of a value along an axis that has one scale, a power of two where it is to be one. */
  #signed(
    value: string,
    name: string,
    axis: number,
    isPower = false,
  ): { codes: string; scale: string } {
    const build = this.#build;
    const magnitude = build.node('Abs', `${name}_magnitude`, [value]);
    const least = this.#scaleOf(magnitude, name, axis, HIGHEST_SIGNED);
    const scale = isPower ? this.#powerAbove(least, name) : least;
    const exact = build.node('Div', `exact_${name}`, [value, scale]);
    const shifted = build.node('Add', `shifted_${name}`, [
      build.node('Round', `${name}_steps`, [exact]),
      build.number('middle', MIDDLE),
    ]);
    return { codes: build.cast(shifted, `${name}_codes`, 'uint8'), scale };
  }

  #scaleOf(magnitude: string, name: string, axis: number, steps: number): string {
    const build = this.#build;
    const largest = build.reduce('ReduceMax', magnitude, `largest_${name}`, [axis], true);
    const step = build.node('Div', `${name}_step`, [largest, build.number('levels', steps)]);
    return build.node('Max', `${name}_scale`, [step, build.number('smallest', SMALLEST_SCALE)]);
  }

  #powerAbove(scale: string, name: string): string {
    const build = this.#build;
    const bits = build.node('Div', `${name}_bits`, [
      build.node('Log', `${name}_log`, [scale]),
      build.number('bit', Math.LN2),
    ]);
    const exponent = build.node('Mul', `${name}_exponent`, [
      build.node('Ceil', `${name}_power`, [bits]),
      build.number('bit', Math.LN2),
    ]);
    return build.node('Exp', `power_of_${name}`, [exponent]);
  }

  #middle(): string {
    return this.#build.byte('zero_point', MIDDLE);
  }

  /** In place of the float one. */
  #product(inputs: readonly string[]): string {
    const product = this.graph.freshValue(`${this.node.outputs[0]!}/product`);
    const attributes = new Map();
    this.graph.replace(this.node.id, {
      op: 'MatMulInteger',
      inputs,
      outputs: [product],
      attributes,
    });
    return this.#build.cast(product, 'real', 'float32');
  }

  #finish(value: string): void {
    this.graph.renameOutput(this.graph.producer(value)!.id, value, this.node.outputs[0]!);
  }
}
