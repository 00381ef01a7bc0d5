import { useApp, useView } from '../app/context';
import { QuickPick } from '../common/quickPick';
import { stepWhere } from '../recipe/stepWords';
import { text } from '../strings';

/** Which step to measure, where there are several and none is selected. */
export function StepPicker() {
  const app = useApp();
  const open = useView((state) => state.popup?.kind === 'analyseStep');
  const steps = useView((state) => state.design?.recipe?.steps) ?? [];
  if (!open) return null;
  const close = () => app.store.set({ popup: null });
  return (
    <QuickPick
      items={steps.map((step, index) => ({
        id: String(index),
        label: `${index + 1} ${step.title}`,
        detail: stepWhere(step),
        icon: <span className={`family-dot family-${step.family}`} />,
      }))}
      label={text('effects.pickStep')}
      testId="step-picker"
      onPick={(id) => {
        close();
        app.sensing.show(Number(id));
      }}
      onClose={close}
    />
  );
}
