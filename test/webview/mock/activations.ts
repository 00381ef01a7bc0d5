/** Activations made up: a channel that stands out, and an attention that looks at its neighbours. */
import type { DataSummary, NodeActivations } from '../../../language/protocol';

export function activationsOf(node: string, data: DataSummary | null): NodeActivations {
  const counts = Array.from({ length: 49 }, (_, bin) =>
    Math.round(4e4 * Math.exp(-((bin - 12) ** 2) / 18) + (bin > 44 ? 3 : 0)),
  );
  const peaks = Array.from({ length: 96 }, (_, c) => 0.8 + 0.5 * Math.abs(Math.sin(c * 5.3)));
  peaks[37] = 18.4;
  const cells = 24;
  const mean = Array.from({ length: cells ** 2 }, (_, i) => {
    const distance = Math.abs(Math.floor(i / cells) - (i % cells));
    return Math.exp(-distance / 3) / 6;
  });
  return {
    data: data?.file ?? 'made-up inputs',
    samples: 64,
    madeUp: data?.generated ?? true,
    values: (['input', 'output'] as const).map((side) => ({
      name: `${node}/${side}`,
      side,
      min: -3.1,
      max: 18.4,
      mean: 0.12,
      standardDeviation: 1.04,
      histogram: { start: -6, width: 0.5, counts },
      channels: { count: 192, peaks, largest: 18.4, at: 74, median: 1.21 },
    })),
    attentions: [
      {
        node: `${node}/Softmax`,
        heads: 3,
        queries: 197,
        keys: 197,
        rows: cells,
        columns: cells,
        mean,
      },
    ],
    skipped: [],
  };
}
