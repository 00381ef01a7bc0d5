/** GPTQ over a whole network. */
import { WhittleError } from '../../../errors';
import type { Graph } from '../../../graph/graph';
import { groupsOf, matrixOf, weightOf, type Linear } from '../../linear';
import type { Evidence } from '../../pass';
import type { Format, Rounded } from './blockwise';
import { gptq } from './gptq';

/**
 * Layers in order, each seeing what those before it make once they are rounded.
 * @param current changed in place
 * @param damping as a share of the mean of the Hessian's diagonal
 * @param write puts a rounded layer into `current`
 * @throws WhittleError where the inputs of a layer cannot be told apart
 */
export async function roundInOrder(
  current: Graph,
  layers: readonly Linear[],
  evidence: Evidence,
  { formatOf, damping }: { readonly formatOf: (rows: number) => Format; readonly damping: number },
  write: (layer: Linear, rounded: Rounded) => void,
): Promise<void> {
  for (const { value, layers: members } of groupsOf(layers)) {
    const gram = (await evidence.grams([value], current)).get(value)!;
    for (const layer of members) {
      evidence.progress(layer.node);
      const matrix = matrixOf(weightOf(current, layer), layer);
      const rounded = gptq(matrix, gram, formatOf(layer.rows), damping);
      if (!rounded)
        throw new WhittleError(`the inputs of ${layer.node} cannot be told apart`, {
          hint: 'Raise `damping`, or calibrate on more data',
        });
      write(layer, rounded);
    }
  }
}
