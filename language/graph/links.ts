/**
 * The nodes and values of a graph by number: nodes by their place in the order, values in the order in which they appear.
 * Walks over a whole graph go by these; looking every value up by its name would cost more than all that is done with it.
 */
export interface Links {
  /** By value. The first is the empty name, which stands for an input or output that is left out. */
  readonly names: readonly string[];
  /** By node: the values of its inputs in their order, then those that its bodies capture. */
  readonly reads: readonly (readonly number[])[];
  /** By node: the values of its outputs in their order. */
  readonly writes: readonly (readonly number[])[];
  /** By value: the first node that gives it; −1 for inputs, constants and what nothing gives. */
  readonly makers: Int32Array;
  /** By value: the nodes that read it, in order, each once. */
  readonly readers: readonly (readonly number[])[];
  /** Undefined for a name that nothing reads or gives. */
  numberOf(name: string): number | undefined;
}

interface Linked {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

export const LEFT_OUT = 0;

/** @param others values that have to have a number although no node may read or give them */
export function linksOf<N extends Linked>(
  nodes: readonly N[],
  captured: (node: N) => readonly string[],
  others: readonly string[],
): Links {
  const names = [''];
  const numbers = new Map([['', LEFT_OUT]]);
  const numbered = (name: string): number => {
    let number = numbers.get(name);
    if (number === undefined) {
      number = names.push(name) - 1;
      numbers.set(name, number);
    }
    return number;
  };
  const reads: number[][] = [];
  const writes: number[][] = [];
  for (const node of nodes) {
    const read = node.inputs.map(numbered);
    for (const name of captured(node)) read.push(numbered(name));
    reads.push(read);
    writes.push(node.outputs.map(numbered));
  }
  for (const name of others) numbered(name);

  const makers = new Int32Array(names.length).fill(-1);
  const readers = names.map((): number[] => []);
  for (let at = 0; at < nodes.length; at++) {
    for (const value of writes[at]!)
      if (value !== LEFT_OUT && makers[value] === -1) makers[value] = at;
    for (const value of reads[at]!)
      if (value !== LEFT_OUT && readers[value]!.at(-1) !== at) readers[value]!.push(at);
  }
  return { names, reads, writes, makers, readers, numberOf: (name) => numbers.get(name) };
}
