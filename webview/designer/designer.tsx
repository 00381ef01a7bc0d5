import { useEffect } from 'react';
import { actOnKey } from '../app/actions';
import { useApp, useView } from '../app/context';
import { Canvas } from '../canvas/canvas';
import { Inspector } from '../inspector/inspector';
import { Library } from '../library/library';
import { DropOffer } from '../library/dropOffer';
import { DragGhost } from '../library/dragGhost';
import { RecipePane } from '../recipe/recipePane';
import { StepPicker } from '../sensitivity/stepPicker';
import { ApplyPanel } from '../states/applyPanel';
import { Banners } from '../states/banners';
import { CannotOpen } from '../states/cannotOpen';
import { Skeleton } from '../states/skeleton';
import { text } from '../strings';
import { Totals } from '../totals/totals';
import { Header } from './header';
import { BitsMenu } from './bitsMenu';
import { NodeMenu } from './nodeMenu';
import { PassPicker } from './passPicker';

/** The designer, and the viewer: the same without a recipe. */
export function Designer() {
  const app = useApp();
  const error = useView((state) => (state.design ? null : state.designError));
  const hasDesign = useView((state) => state.design !== null);
  const effects = useView((state) => state.effectsOpen);
  const folded = useView((state) => state.folded);

  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      if (!actOnKey(event, app.actions)) return;
      event.preventDefault();
      event.stopPropagation();
    };
    document.addEventListener('keydown', onKeyDown);
    return () => document.removeEventListener('keydown', onKeyDown);
  }, [app]);

  if (error !== null) return <CannotOpen message={error} />;
  if (!hasDesign) return <Skeleton />;
  const classes = [
    'designer',
    effects ? 'has-effects' : '',
    ...['left', 'inspector', 'totals'].map((pane) => (folded.includes(pane) ? `no-${pane}` : '')),
  ];
  return (
    <div className={classes.filter(Boolean).join(' ')} data-testid="designer">
      <Header />
      {!folded.includes('left') && (
        <aside className="side left" aria-label={text('left.label')}>
          <Library />
          <RecipePane />
        </aside>
      )}
      <main className="stage" aria-label={text('stage.label')}>
        <Banners />
        <Canvas />
        <ApplyPanel />
        <PassPicker />
        <StepPicker />
      </main>
      {!folded.includes('inspector') && (
        <aside className="side inspector" aria-label={text('inspector.label')}>
          <Inspector />
        </aside>
      )}
      {!folded.includes('totals') && <Totals />}
      <DropOffer />
      <DragGhost />
      <NodeMenu />
      <BitsMenu />
    </div>
  );
}
