/**
 * Products with a state that a loop stacks, such as y = Ch: channels of a state differ in size by orders of magnitude, and one
 * scale rounds the small ones away. Each row of the state is divided by a factor of its own before it is rounded, and the same
 * row of the product multiplied by it afterwards, which changes nothing else: (D⁻¹H)C = D⁻¹(HC) for a diagonal D. With a state on
 * the right it is columns. On text-mamba the error of the products falls by 10 to 21 dB.
 */
import type { Graph, Node } from '../../../graph/graph';
import { inferShapes } from '../../../graph/shapes/infer';
import { Builder } from '../../builder';
import { floatBytes, Inserter } from '../../inserter';
import { quantisable } from '../../layers';
import type { Evidence, Site, Situation } from '../../pass';
import { asDecision, magnitudes, WORTHWHILE, type Smoothing } from '../../smoothing';

/** A stacked value that nothing but products read, all of them as the same operand. */
export interface Rows {
  readonly value: string;
  readonly operand: 0 | 1;
  /** Whatever the sizes of the model's inputs. */
  readonly count: number;
  readonly rank: number;
  readonly products: readonly Node[];
}

/** @param float sites that stay as they are */
export function rowsAmong(
  { graph, facts, sites }: Situation & { readonly sites: readonly Site[] },
  float: ReadonlySet<string>,
): Rows[] {
  const open = new Set<string>();
  const values = new Set<string>();
  for (const { node: id } of sites) {
    const node = graph.node(id)!;
    const found = float.has(id) ? undefined : quantisable(graph, facts, node);
    if (typeof found !== 'object' || found.kind !== 'product') continue;
    open.add(id);
    for (const input of node.inputs) if (isStacked(graph, input)) values.add(input);
  }
  if (values.size === 0) return [];
  const unbound = inferShapes(graph, { inputs: new Map() });
  return [...values].flatMap((value): Rows[] => {
    const readers = graph.consumers(value);
    const operand = readers[0]!.inputs[0] === value ? 0 : 1;
    const { type, shape } = unbound.value(value);
    const count = shape?.at(operand === 0 ? -2 : -1);
    const isRead = readers.every(
      ({ id, inputs }) =>
        open.has(id) && inputs[operand] === value && inputs[1 - operand] !== value,
    );
    if (!isRead || graph.isOutput(value)) return [];
    if (type.kind !== 'tensor' || type.elementType !== 'float32') return [];
    if (typeof count !== 'number') return [];
    return [{ value, operand, count, rank: shape!.length, products: readers }];
  });
}

function isStacked(graph: Graph, value: string): boolean {
  const producer = graph.producer(value);
  if (producer?.op === 'Cast') return isStacked(graph, producer.inputs[0]!);
  return producer?.op === 'Scan' || producer?.op === 'Loop';
}

/** A row that stayed below this share of the largest in the calibration data keeps the step of the largest. */
const SILENT = 2 ** -16;

/** Measures the largest magnitude of each row; values whose rows are of much the same size are left alone. */
export async function planRows(
  graph: Graph,
  all: readonly Rows[],
  evidence: Evidence,
): Promise<Smoothing[]> {
  if (all.length === 0) return [];
  // Channels are measured along the last axis.
  const copy = graph.fork();
  const measured = all.map((rows) => (rows.operand === 1 ? rows.value : turned(copy, rows)));
  const moments = await evidence.moments(measured, copy);
  return all.flatMap(({ value, count }, i) => {
    const seen = moments.get(measured[i]!);
    if (seen?.max.length !== count) return [];
    const sizes = magnitudes(seen);
    const largest = Math.max(...sizes);
    const squares = sizes.reduce((sum, size) => sum + size ** 2, 0);
    if (largest === 0 || count * largest ** 2 < WORTHWHILE * squares) return [];
    return [
      asDecision(
        value,
        sizes.map((size) => (size > SILENT * largest ? size : largest)),
      ),
    ];
  });
}

function turned(graph: Graph, { value, rank, products }: Rows): string {
  return new Builder(graph, products[0]!, value).turned(value, 'turned', rank);
}

/** Divides rows by what was decided, and multiplies those of the products. */
export function scaleRows(
  graph: Graph,
  all: readonly Rows[],
  smoothings: readonly Smoothing[],
): void {
  const decided = new Map(smoothings.map(({ value, factors }) => [value, factors]));
  for (const rows of all) {
    const factors = decided.get(rows.value);
    if (factors) scale(graph, rows, factors);
  }
}

function scale(
  graph: Graph,
  { value, operand, count, products }: Rows,
  factors: readonly number[],
): void {
  const inserter = new Inserter(graph);
  const dims = operand === 0 ? [count, 1] : [count];
  const constant = (name: string, numbers: readonly number[]) =>
    inserter.constant(`${value}_${name}`, 'float32', dims, () => floatBytes(numbers));
  const inverse = constant(
    'inverse',
    factors.map((factor) => 1 / factor),
  );
  const scaled = graph.freshValue(`${value}_scaled`);
  inserter.insert('Mul', [value, inverse], scaled, products[0]!);
  const sizes = constant('sizes', factors);
  for (const { id, outputs } of products) {
    const [result] = outputs as [string];
    const unscaled = graph.freshValue(`${result}_unscaled`);
    graph.setInput(id, operand, scaled);
    graph.renameOutput(id, result, unscaled);
    inserter.insert('Mul', [unscaled, sizes], result, products[0]!);
  }
}
