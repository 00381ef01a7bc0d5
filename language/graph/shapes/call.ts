/** What a rule sees of the node it infers: inputs by position, attributes by name, and bodies that it may run. */
import type { AttributeValue, Dim, GraphRecord, Shape } from '../../onnx/model';
import { elementTypeOf as elementTypeOfCode, type ElementType } from '../../onnx/schema';
import type { InnerFacts, KnownElements, ValueFacts } from '../facts';
import { floatAttribute, intAttribute, intsAttribute, stringAttribute, type Node } from '../graph';
import { Impossible } from './dims';
import { elementTypeOf, itemsOf, tensorOf } from './values';

/** Facts of a node's only output, or of its outputs in order; undefined where nothing is known. */
export type Result = ValueFacts | readonly (ValueFacts | undefined)[];
/** Throws Impossible where the inputs do not fit together. */
export type Rule = (call: Call) => Result;
export type Rules = Readonly<Record<string, Rule>>;

/** One run of a body. */
export interface Run extends Omit<InnerFacts, 'attribute' | 'times'> {
  readonly outputs: readonly ValueFacts[];
  /** Whether every node in it could do what it is asked to. */
  readonly possible: boolean;
}

export class Call {
  readonly inner: InnerFacts[] = [];
  /** Whether a body that runs cannot do what it is asked to. */
  impossible = false;

  constructor(
    readonly node: Node,
    /** Version of the operator set that the node is from. */
    readonly version: number,
    readonly inputs: readonly (ValueFacts | undefined)[],
    private readonly runBody: (
      attribute: string,
      body: GraphRecord,
      inputs: readonly (ValueFacts | undefined)[],
    ) => Run,
  ) {}

  has(index: number): boolean {
    return this.inputs[index] !== undefined;
  }
  input(index: number): ValueFacts {
    const facts = this.inputs[index];
    if (!facts) throw new Impossible(`input ${index} is missing`);
    return facts;
  }
  shape(index: number): Shape | undefined {
    return this.inputs[index]?.shape;
  }
  /** A dimension of an input, counted from the back where negative; null where it is not known. */
  dim(index: number, axis: number): Dim {
    return this.shape(index)?.at(axis) ?? null;
  }
  type(index: number): ElementType {
    return elementTypeOf(this.inputs[index]);
  }
  /** What is known of the elements of an input. */
  known(index: number): KnownElements | undefined {
    return this.inputs[index]?.elements;
  }
  /** The elements of an input, when all of them are numbers. */
  numbers(index: number): readonly number[] | undefined {
    const elements = this.known(index)?.elements;
    return elements?.every((element) => typeof element === 'number') ? elements : undefined;
  }
  /** The first element of an input, which is the value of a scalar. */
  first(index: number): Dim {
    return this.known(index)?.elements[0] ?? null;
  }
  items(index: number): readonly ValueFacts[] | undefined {
    return itemsOf(this.inputs[index]);
  }

  attribute(name: string): AttributeValue | undefined {
    return this.node.attributes.get(name)?.value;
  }
  hasAttribute(name: string): boolean {
    return this.node.attributes.has(name);
  }
  int(name: string, otherwise: number): number;
  int(name: string): number | undefined;
  int(name: string, otherwise?: number): number | undefined {
    return intAttribute(this.node, name) ?? otherwise;
  }
  ints(name: string): readonly number[] | undefined {
    return intsAttribute(this.node, name);
  }
  float(name: string, otherwise: number): number {
    return floatAttribute(this.node, name, otherwise);
  }
  text(name: string, otherwise: string): string {
    return stringAttribute(this.node, name, otherwise);
  }
  /** The element type that an attribute names by its code. */
  typeAttribute(name: string, otherwise: ElementType): ElementType {
    const code = this.int(name);
    return code === undefined ? otherwise : elementTypeOfCode(code);
  }

  /** Infers the body that an attribute holds for one run. */
  run(attribute: string, inputs: readonly (ValueFacts | undefined)[]): Run {
    const value = this.attribute(attribute);
    if (value?.kind !== 'graph') throw new Impossible(`it has no ${attribute}`);
    return this.runBody(attribute, value.value, inputs);
  }
  /** Records how often the body runs; null where that depends on data. */
  keep(attribute: string, { nodes, facts, possible }: Run, times: number | null): void {
    this.inner.push({ attribute, nodes, facts, times });
    if (!possible && times !== 0) this.impossible = true;
  }

  /** A tensor of the element type of input 0. */
  like(shape: Shape | undefined, index = 0): ValueFacts {
    return tensorOf(this.type(index), shape);
  }
}
