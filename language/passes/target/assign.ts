import { z } from 'zod';
import { assignableSites } from '../assignable';
import type { Pass } from '../pass';

const parameters = z.strictObject({
  target: z.string().min(1).meta({
    title: 'Target',
    description: 'Where these layers run; the rest stays on the target that is shown',
    role: 'target',
  }),
});
type Parameters = z.infer<typeof parameters>;

const assign: Pass<Parameters, null> = {
  id: 'target.assign',
  title: 'Assign to target',
  family: 'target',
  summary:
    'Puts layers on a target of their own. Totals become heterogeneous and include moving activations between targets. The model file stays as it is: the assignment lives in the recipe.',
  parameters,
  needs: () => [],

  sites: assignableSites,

  plan: () => Promise.resolve(null),
  standIn: () => null,

  rewrite({ graph, sites, parameters: { target } }) {
    for (const { node } of sites) graph.replace(node, { assigned: target });
    return [];
  },
};
export default assign;
