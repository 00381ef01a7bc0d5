import type { Fidelity } from '../../language/protocol';
import { plain } from '../format';
import { text } from '../strings';

/** How near the new model's answers are to the old one's. */
export function FidelityTable({ fidelity }: { readonly fidelity: Fidelity }) {
  const { data, samples, outputs, unavailable } = fidelity;
  return (
    <section className="report-section" data-testid="fidelity">
      <h2>{text('report.fidelity')}</h2>
      {unavailable !== undefined ? (
        <p className="unknown">{unavailable}</p>
      ) : (
        <>
          <p className="quiet">{text('report.comparedOn', { data, count: samples })}</p>
          <table>
            <thead>
              <tr>
                <th scope="col">{text('report.output')}</th>
                <th scope="col" className="number">
                  {text('report.sqnr')}
                </th>
                <th scope="col" className="number">
                  {text('report.cosine')}
                </th>
                <th scope="col" className="number">
                  {text('report.maxAbs')}
                </th>
              </tr>
            </thead>
            <tbody>
              {outputs.map(({ name, sqnrDb, cosine, maxAbs }) => (
                <tr key={name}>
                  <th scope="row">{name}</th>
                  <td className="number">
                    {sqnrDb === null ? '–' : `${sqnrDb.toFixed(1)}\u00a0dB`}
                  </td>
                  <td className="number">{cosine === null ? '–' : cosine.toFixed(5)}</td>
                  <td className="number">{maxAbs === null ? '–' : plain(maxAbs)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </>
      )}
    </section>
  );
}
