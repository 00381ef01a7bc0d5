import { useView } from '../app/context';
import { EffectsPanel } from '../sensitivity/effectsPanel';
import { ModelOverview } from './modelOverview';
import { ManyNodes } from './manyNodes';
import { NodePanel } from './nodePanel';
import { StepPanel } from './stepPanel';

/** Properties of whatever is chosen: the sensitivities of a step, a step of the recipe, one node, several, or the model. */
export function Inspector() {
  const step = useView((state) => state.step);
  const selected = useView((state) => state.selected);
  const steps = useView((state) => state.design?.recipe?.steps);
  const effects = useView((state) => state.effectsOpen);
  const summary = step === null ? undefined : steps?.[step];
  if (effects) return <EffectsPanel />;
  if (summary && step !== null) return <StepPanel key={step} step={summary} index={step} />;
  if (selected.length > 1) return <ManyNodes ids={selected} />;
  if (selected.length === 1) return <NodePanel id={selected[0]!} />;
  return <ModelOverview />;
}
