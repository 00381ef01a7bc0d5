import type { Change, LayerReport } from '../../language/protocol';

export type Column = 'name' | 'op' | 'macs' | 'weightBytes' | 'latency' | 'difference';

export interface Order {
  readonly by: Column;
  readonly falling: boolean;
}

/** Unknown numbers come last, whichever way; equal ones keep the order of the model. */
export function sortLayers(
  layers: readonly LayerReport[],
  { by, falling }: Order,
  target: string | null,
): readonly LayerReport[] {
  const sign = falling ? -1 : 1;
  return [...layers].sort((a, b) => {
    if (by === 'name' || by === 'op')
      return sign * a[by].localeCompare(b[by], 'en', { numeric: true });
    const [x, y] = [numberOf(a, by, target), numberOf(b, by, target)];
    if (x === null || y === null) return Number(x === null) - Number(y === null);
    return sign * (x - y);
  });
}

function numberOf(
  layer: LayerReport,
  by: Exclude<Column, 'name' | 'op'>,
  target: string | null,
): number | null {
  const latency = target === null ? undefined : layer.latencyMs[target];
  switch (by) {
    case 'macs':
      return layer.macs.after;
    case 'weightBytes':
      return layer.weightBytes.after;
    case 'latency':
      return latency?.after ?? null;
    case 'difference':
      return latency ? relative(latency) : null;
  }
}

function relative({ before, after }: Change): number | null {
  return before === null || after === null || before === 0 ? null : (after - before) / before;
}
