/** What is noted of a graph while its operators are read: the label of every axis, uses of constants, sizes to change. */
import { Untold } from '../../../errors';
import { intAttribute, intsAttribute, type Node } from '../../graph';
import type { View } from '../view';
import { block, fresh, isLabel, size, unify, type Axis, type Label } from './labels';

/**
 * What an axis of a constant has to do with channels: a weight makes them or reads them; a bias, the numbers of a norm and
 * the like go along with them.
 */
export type Role = 'makes' | 'goes along' | 'reads';

export interface Use {
  readonly node: string;
  readonly input: number;
  readonly value: string;
  readonly axis: number;
  readonly role: Role;
  readonly label: Label;
}

/** Where a node is told sizes: in an input or in an attribute. */
export type Place = { readonly input: number } | { readonly attribute: string };

/** Sizes that a node is told and that have to follow the channels. */
export interface Sizes {
  readonly node: string;
  readonly at: Place;
  readonly elements: readonly number[];
  /** What each element measures in elements of a label, or counts in its units. */
  readonly measured: readonly { readonly element: number; readonly label: Label }[];
  /** Labels whose size was in what the elements stand in for, be it that they were computed of it. */
  readonly pinned: readonly Label[];
}

/** A constant behind what hands it on, and which axis each of its axes has become. */
interface Origin {
  readonly node: string;
  readonly input: number;
  readonly value: string;
  readonly axes: readonly number[];
}

/** Of a value computed of shapes: the axes whose size is in it, by element where `each`. */
export interface Taint {
  readonly each: boolean;
  readonly labels: readonly (Label | undefined)[];
}

export class Marks {
  readonly axes = new Map<string, readonly Axis[]>();
  readonly origins = new Map<string, readonly Origin[]>();
  readonly taints = new Map<string, Taint>();
  readonly uses: Use[] = [];
  readonly sizes: Sizes[] = [];

  constructor(readonly view: View) {}

  /** The axes of a value; undefined where not even their number is known. */
  axesOf(value: string): readonly Axis[] | undefined {
    const known = this.axes.get(value);
    if (known) return known;
    const shape = this.view.shape(value);
    if (!shape) return undefined;
    const axes = shape.map((dim): Axis => {
      if (dim === 1) return 'one';
      return typeof dim === 'number' && dim > 0 ? fresh(dim) : 'free';
    });
    this.axes.set(value, axes);
    return axes;
  }

  block(value: string, node: string, reason: string): void {
    for (const axis of this.axesOf(value) ?? []) block(axis, { node, reason });
  }
}

/** A node while its rule is at work. What a rule cannot tell it throws as Untold. */
export class Site {
  constructor(
    readonly marks: Marks,
    readonly node: Node,
  ) {}

  get view(): View {
    return this.marks.view;
  }
  get isStatic(): boolean {
    return this.node.outputs.every((output) => this.view.isStatic(output));
  }
  int(name: string, otherwise: number): number {
    return intAttribute(this.node, name, otherwise);
  }
  ints(name: string): readonly number[] | undefined {
    return intsAttribute(this.node, name);
  }
  has(input: number): boolean {
    return Boolean(this.node.inputs[input]);
  }
  /** An `axis` attribute, from 0. */
  axis(otherwise: number, rank = this.axes(0).length): number {
    const axis = this.int('axis', otherwise);
    const from0 = axis < 0 ? axis + rank : axis;
    if (from0 < 0 || from0 > rank) throw new Untold(`it has no axis ${axis}`);
    return from0;
  }

  axes(input: number): readonly Axis[] {
    const axes = this.marks.axesOf(this.node.inputs[input] ?? '');
    if (!axes) throw new Untold(`the shape of its input ${input} is not known`);
    return axes;
  }
  dim(input: number, axis: number): number {
    const dim = this.view.shape(this.node.inputs[input] ?? '')?.[axis];
    if (typeof dim !== 'number') throw new Untold(`the shape of its input ${input} is not known`);
    return dim;
  }
  shapeOfOutput(output = 0): readonly (number | string | null)[] {
    const shape = this.view.shape(this.node.outputs[output] ?? '');
    if (!shape) throw new Untold('the shape of its output is not known');
    return shape;
  }

  block(axis: Axis | undefined, reason: string): void {
    block(axis, { node: this.node.id, reason });
  }
  /** An axis of the output whose elements are no channels. */
  opaque(dim: number | string | null | undefined, reason: string): Axis {
    if (dim === 1) return 'one';
    if (typeof dim !== 'number' || dim <= 0) return 'free';
    const label = fresh(dim);
    this.block(label, reason);
    return label;
  }
  /** Brings two axes together as broadcasting does. */
  bring(a: Axis, b: Axis): Axis {
    if (a === 'one') return b;
    if (b === 'one') return a;
    if (isLabel(a) && isLabel(b)) {
      unify(a, b, this.node.id);
      return a;
    }
    const label = isLabel(a) ? a : b;
    this.block(label, 'it meets an axis whose size is not known');
    return label;
  }
  broadcast(all: readonly (readonly Axis[])[]): Axis[] {
    const rank = Math.max(0, ...all.map(({ length }) => length));
    return Array.from({ length: rank }, (_, axis) =>
      all.reduce<Axis>((sum, axes) => {
        const own = axis - rank + axes.length;
        return own < 0 ? sum : this.bring(sum, axes[own]!);
      }, 'one'),
    );
  }

  set(output: number, axes: readonly Axis[]): void {
    const name = this.node.outputs[output];
    if (!name) return;
    const shape = this.shapeOfOutput(output);
    const fits = axes.every((axis, i) => {
      const dim = shape[i];
      return isLabel(axis)
        ? size(axis) === dim
        : axis === 'free'
          ? typeof dim !== 'number'
          : dim === 1;
    });
    if (!fits || axes.length !== shape.length)
      throw new Untold('its shapes do not agree with each other');
    this.marks.axes.set(name, axes);
  }

  /** Notes that the axes of an input that is a constant have roles; others are left alone. */
  use(input: number, roleOf: (axis: number) => Role | undefined): void {
    for (const origin of this.originsOf(input)) {
      const axes = this.marks.axesOf(origin.value) ?? [];
      axes.forEach((label, axis) => {
        const role = roleOf(origin.axes[axis]!);
        if (role && isLabel(label)) this.marks.uses.push({ ...origin, axis, role, label });
      });
    }
  }
  useAlong(...inputs: number[]): void {
    for (const input of inputs) if (this.has(input)) this.use(input, () => 'goes along');
  }
  originsOf(input: number): readonly Origin[] {
    const value = this.node.inputs[input] ?? '';
    if (!this.view.graph.constant(value)) return this.marks.origins.get(value) ?? [];
    const axes = this.axes(input).map((_, axis) => axis);
    return [{ node: this.node.id, input, value, axes }];
  }
  /** The output is the constant of input 0 still, in other order: axis `i` of it was axis `order[i]`. */
  handOn(order: readonly number[], more: readonly Origin[] = []): void {
    const moved = this.originsOf(0).map((origin) => ({
      ...origin,
      axes: origin.axes.map((axis) => order.indexOf(axis)),
    }));
    this.marks.origins.set(this.node.outputs[0] ?? '', [...moved, ...more]);
  }

  /**
   * Notes the sizes that the node is told. Where they cannot be written down as numbers, what they measure and what they are
   * computed from has to stay.
   */
  measure(
    at: Place,
    elements: readonly (number | undefined)[] | undefined,
    measured: Sizes['measured'],
    told: readonly Label[] = [],
  ): void {
    const operand = 'input' in at ? this.node.inputs[at.input] : undefined;
    const taint = operand ? this.marks.taints.get(operand) : undefined;
    const tainted = (taint?.labels ?? []).filter((label) => label !== undefined);
    const pinned = [...tainted, ...told];
    if (measured.length === 0 && pinned.length === 0) return;
    const known = elements?.filter((element) => element !== undefined);
    if (known && known.length === elements?.length) {
      this.marks.sizes.push({ node: this.node.id, at, elements: known, measured, pinned });
      return;
    }
    for (const label of [...pinned, ...measured.map((m) => m.label)])
      this.block(label, 'the sizes that it is given depend on data or free dimensions');
  }

  /** Blocks everything around a node that was not understood. */
  giveUp(reason: string, captured: readonly string[]): void {
    const { inputs, outputs, id } = this.node;
    for (const value of [...inputs, ...captured]) if (value) this.marks.block(value, id, reason);
    for (const value of outputs) if (value) this.marks.block(value, id, reason);
  }
}
