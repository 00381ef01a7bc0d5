import type { FileDigest, Report } from '../../language/protocol';
import { quantity } from '../format';
import { text } from '../strings';

/** What the report holds for: files by their hashes, and the machine. */
export function Environment({ report }: { readonly report: Report }) {
  return (
    <section className="report-section" data-testid="environment">
      <h2>{text('report.environment')}</h2>
      <dl className="sheet sheet-wide">
        <Digest name={text('report.file.model')} file={report.model} />
        <Digest name={text('report.file.recipe')} file={report.recipe} />
        <Digest name={text('report.file.output')} file={report.output} />
        {Object.entries(report.environment).map(([name, value]) => (
          <div className="row" key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
        <div className="row">
          <dt>{text('report.seconds')}</dt>
          <dd>
            {report.steps
              .map(({ title, seconds }) => `${title} ${seconds.toFixed(1)} s`)
              .join(' · ')}
          </dd>
        </div>
      </dl>
    </section>
  );
}

function Digest({ name, file }: { readonly name: string; readonly file: FileDigest }) {
  return (
    <div className="row">
      <dt>{name}</dt>
      <dd>
        {file.path} · {quantity(file.bytes, 'bytes')}
        <br />
        <code>sha256 {file.sha256}</code>
      </dd>
    </div>
  );
}
