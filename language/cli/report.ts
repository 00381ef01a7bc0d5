/** `whittle report`: a report as text, as a table for CI, or as a standalone HTML file. */
import { writeFileSync } from 'node:fs';
import { describeError, WhittleError } from '../errors';
import { reportHtml } from '../recipe/reportHtml';
import { reportMarkdown } from '../recipe/reportMarkdown';
import { readReport } from '../recipe/reportSchema';
import { reportRemarks, reportRows } from '../recipe/reportTable';
import { print, readArguments, requireBudget, table, type Command } from './command';

const report: Command = (argv, surroundings) => {
  const { values: options, positionals } = readArguments(argv, ['FILE'], {
    html: { type: 'string' },
    markdown: { type: 'boolean', default: false },
  });
  const content = readReport((positionals as [string])[0]);
  if (options.html !== undefined) write(options.html, reportHtml(content));
  if (options.markdown) surroundings.stdout.write(reportMarkdown(content));
  else
    print(surroundings, options, content, () => [
      ...table(
        reportRows(content).map(({ name, before, after, change, kind }) => [
          name,
          before,
          after,
          change,
          kind,
        ]),
        [1, 2, 3],
      ),
      ...reportRemarks(content),
      ...(options.html === undefined ? [] : [`wrote ${options.html}`]),
    ]);
  requireBudget(content);
  return Promise.resolve();
};
export default report;

function write(file: string, text: string): void {
  try {
    writeFileSync(file, text);
  } catch (error) {
    throw new WhittleError(`cannot write ${file}: ${describeError(error)}`);
  }
}
