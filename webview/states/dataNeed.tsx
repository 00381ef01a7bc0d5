import { useApp, useView } from '../app/context';
import { Button } from '../common/elements';
import { text } from '../strings';
import { Banner } from './banners';

/** A step learns from samples, and there are none, or only made-up ones. */
export function DataNeed() {
  const app = useApp();
  const recipe = useView((state) => state.design?.recipe ?? null);
  if (typeof recipe?.calibrated !== 'string') return null;
  const { calibration } = recipe.data;
  if (calibration?.generated === false) return null;
  const title = recipe.calibrated;
  return (
    <Banner look="warning" icon="database" testId="data-need">
      <span className="banner-row">
        <span>{text(calibration ? 'data.madeUp' : 'data.missing', { title })}</span>
        <Button
          secondary
          testId="data-choose"
          onClick={() => void app.host.request('chooseData', { use: 'calibration' })}
        >
          {text('data.choose')}
        </Button>
      </span>
    </Banner>
  );
}
