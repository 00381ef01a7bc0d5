import { useApp, useView } from '../app/context';
import { IconButton } from '../common/iconButton';
import { Pane } from '../common/pane';
import { text } from '../strings';
import { DataRows } from './dataRows';
import { StepList } from './stepList';

/** The steps in order. In the viewer, an invitation. */
export function RecipePane() {
  const app = useApp();
  const recipe = useView((state) => state.design?.recipe ?? null);
  if (!recipe)
    return (
      <Pane id="recipe" title={text('recipe.title')}>
        <p className="quiet">{text('recipe.viewer')}</p>
      </Pane>
    );
  const name = recipe.name || text('recipe.untitled');
  return (
    <Pane
      id="recipe"
      title={text('recipe.titled', { name })}
      grow
      aside={
        <IconButton
          icon="go-to-file"
          label={text('recipe.open')}
          testId="open-recipe"
          onClick={() => void app.host.request('open', { what: 'recipe' })}
        />
      }
    >
      <StepList steps={recipe.steps} />
      <p className="quiet">{text(recipe.steps.length === 0 ? 'recipe.empty' : 'recipe.hint')}</p>
      {recipe.steps.length > 0 && <DataRows data={recipe.data} />}
    </Pane>
  );
}
