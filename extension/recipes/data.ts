import path from 'node:path';
import * as vscode from 'vscode';
import { browseFor, fileItems } from '../commands/pick';
import type { Context } from '../context';
import type { DataChoice, DataOffer, DataReference, DataUse } from '../../language/protocol';
import { editRecipe } from './edit';
import { askingFor, type Job } from './job';

const MADE_UP: DataReference = { source: { generated: {} } };

/** What the workspace has for a recipe, judged by the server. */
export async function dataFor(context: Context, job: Job): Promise<DataOffer> {
  const files = (await fileItems('**/*.dataset.{yaml,yml}')).map(({ uri }) => uri.fsPath);
  return context.backend.request('dataFor', { ...askingFor(job), files });
}

/** Asks which samples a recipe should use, and writes the answer into its text, to be undone like any edit. */
export async function chooseData(
  context: Context,
  recipe: vscode.TextDocument,
  use: DataUse,
): Promise<void> {
  const job = { recipe: recipe.uri };
  const dataset = await pickData(context, job, await dataFor(context, job), use);
  if (dataset) await editRecipe(context.backend, recipe, { kind: 'data', use, dataset });
}

/** Leads to samples where the recipe names none; made-up inputs are one of the choices, and said aloud afterwards. */
export async function hasSamples(
  context: Context,
  document: vscode.TextDocument,
  byMetric: boolean,
): Promise<boolean> {
  const job = { recipe: document.uri };
  const offer = await dataFor(context, job);
  const { calibration, evaluation } = offer.named;
  const needsRanges = offer.missing !== null && !offer.madeUp;
  const isLacking: Readonly<Record<DataUse, boolean>> = {
    calibration: needsRanges || !(calibration || evaluation),
    evaluation: !evaluation,
  };
  const lacking = byMetric ? 'evaluation' : 'calibration';
  if (!isLacking[lacking]) return true;
  const dataset = await pickData(context, job, offer, lacking);
  if (!dataset) return false;
  await editRecipe(context.backend, document, { kind: 'data', use: lacking, dataset });
  return true;
}

interface DataItem extends vscode.QuickPickItem {
  readonly dataset?: DataReference;
}

/** Those that feed the model come first; what the others lack is said. */
export async function pickData(
  context: Context,
  job: Job,
  { choices, missing }: DataOffer,
  use: DataUse,
): Promise<DataReference | undefined> {
  const browse: DataItem = { label: vscode.l10n.t('$(folder-opened) Browse…') };
  const fitting = choices.filter(isFitting).sort((a, b) => rank(a, use) - rank(b, use));
  const others = choices.filter((choice) => !isFitting(choice));
  const items: DataItem[] = [
    heading(vscode.l10n.t('feed every input of the model')),
    ...fitting.map(dataItem),
    heading(vscode.l10n.t('without samples of your own')),
    {
      label: vscode.l10n.t('$(warning) Made-up inputs'),
      detail: vscode.l10n.t(
        'Random values of the right types: nothing found on them holds for real inputs',
      ),
      dataset: MADE_UP,
    },
    browse,
    ...(others.length ? [heading(vscode.l10n.t('do not fit')), ...others.map(dataItem)] : []),
  ];
  const choice = await vscode.window.showQuickPick(items, {
    title: title(use, missing),
    placeHolder: vscode.l10n.t('A data set of the workspace, described in NAME.dataset.yaml'),
    matchOnDetail: true,
    ignoreFocusOut: true,
  });
  if (choice !== browse) return choice?.dataset;
  const file = await browseFor(title(use, missing), {
    [vscode.l10n.t('Data set')]: ['yaml', 'yml'],
  });
  return file && reference(context, job, file.fsPath);
}

function title(use: DataUse, missing: string | null): string {
  if (use === 'evaluation') return vscode.l10n.t('Which samples judge the result?');
  return missing === null
    ? vscode.l10n.t('Which samples show what real inputs look like?')
    : vscode.l10n.t('{0} needs samples of real inputs to find its ranges. Which?', missing);
}

async function reference(context: Context, job: Job, file: string): Promise<string> {
  const request = { ...askingFor(job), files: [file] };
  const { choices } = await context.backend.request('dataFor', request);
  return choices[0]?.reference ?? file;
}

const isFitting = ({ unfed, error }: DataChoice) => error === null && unfed.length === 0;

/** Samples with answers are for judging; using them to find ranges would flatter the result. */
const rank = ({ metric }: DataChoice, use: DataUse) =>
  (metric === null) === (use === 'calibration') ? 0 : 1;

function dataItem(choice: DataChoice): DataItem {
  const { file, reference: dataset, metric, unfed, error } = choice;
  const lacks = vscode.l10n.t('does not feed {0}', unfed.join(', '));
  const fits = metric === null ? '' : vscode.l10n.t('judges by {0}', metric);
  return {
    label: path.basename(file),
    description: dataset,
    detail: error ?? (unfed.length ? lacks : fits),
    dataset,
  };
}

const heading = (label: string): DataItem => ({ label, kind: vscode.QuickPickItemKind.Separator });
