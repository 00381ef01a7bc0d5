import type { Roofline } from '../../language/protocol';
import { Amount, Difference } from '../common/amount';
import { percent } from '../format';
import { text } from '../strings';

/** What each kind of layer takes, the dearest first, and what belongs to no layer. */
export function Families({ roofline }: { readonly roofline: Roofline }) {
  const { families, besideMs } = roofline;
  const [largest] = families;
  const beside = [besideMs.before, besideMs.after].some((ms) => (ms ?? 0) > LEAST_MS);
  return (
    <div className="families">
      <table aria-label={text('families.label')} data-testid="families">
        <thead>
          <tr>
            <th scope="col">{text('families.kind')}</th>
            <th scope="col" className="number">
              {text('families.layers')}
            </th>
            <th scope="col" className="number">
              {text('metric.latency')}
            </th>
            <th scope="col" className="number">
              {text('families.share')}
            </th>
          </tr>
        </thead>
        <tbody>
          {families.map(({ family, layers, latencyMs, share }) => (
            <tr key={family}>
              <th scope="row">{family}</th>
              <td className="number">{layers}</td>
              <td className="number">
                <Amount change={latencyMs} unit="time" /> <Difference change={latencyMs} />
              </td>
              <td className="number">
                {percent(share)}
                <span className="family-bar" aria-hidden="true">
                  <span style={{ width: `${(share / (largest?.share ?? 1)) * 100}%` }} />
                </span>
              </td>
            </tr>
          ))}
          {beside && (
            <tr className="quiet">
              <th scope="row" title={text('families.besideTitle')}>
                {text('families.beside')}
              </th>
              <td />
              <td className="number">
                <Amount change={besideMs} unit="time" />
              </td>
              <td />
            </tr>
          )}
        </tbody>
      </table>
    </div>
  );
}

/** Less than this is what adding up leaves over. */
const LEAST_MS = 1e-9;
