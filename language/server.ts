/** The language server: answers the extension, publishes complaints and hints, and starts jobs. */
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import {
  createConnection,
  ErrorCodes,
  ProposedFeatures,
  ResponseError,
  TextDocuments,
  TextDocumentSyncKind,
} from 'vscode-languageserver/node';
import { TextDocument } from 'vscode-languageserver-textdocument';
import { pathToFileURL } from 'node:url';
import { askedActivations } from './design/activations';
import {
  calibratedStep,
  dataSummary,
  makeDesign,
  viewRequest,
  type Look,
  type Subject,
} from './design/design';
import { nodeDetails, tensorStatistics } from './design/details';
import { gainOf, placesFor } from './design/places';
import { rooflineOf } from './design/roofline';
import { CancelledError, describeError, WhittleError } from './errors';
import { modelText, type ModelText } from './graph/text';
import type { Pass } from './passes/pass';
import type { ServerEvents, ServerRequests } from './protocol';
import {
  DEFAULT_TARGET,
  passes,
  passInfos,
  targetInfos,
  targetProfile,
  templateInfos,
  vocabulary,
} from './recipe/bundled';
import { bitsEdits } from './recipe/bits';
import { editAll, editRecipe } from './recipe/edit';
import {
  isRecipeFile,
  isSameFile,
  modelReference,
  outputPath,
  readText,
  resolveFrom,
} from './recipe/files';
import { needsCalibration, parseRecipe } from './recipe/recipe';
import { byFile, dataChoice } from './server/datasets';
import { effectKey, effectsInView, keptSensitivity } from './server/effects';
import { diagnosticsOf, modelDiagnostic, modelHints, recipeHints } from './server/hints';
import { runJob, type JobRequest } from './server/jobs';
import {
  isProfileUri,
  profileCompletions,
  profileDiagnostics,
  profileHover,
} from './server/profiles';
import { fileOf, isRecipeUri, Subjects } from './server/subjects';
import { Warming } from './server/warming';

const connection = createConnection(ProposedFeatures.all);
const documents = new TextDocuments(TextDocument);
const subjects = new Subjects(documents);
const running = new Map<string, AbortController>();
const planning = new Map<string, AbortController>();
const texts = new WeakMap<object, ModelText>();
const warming = new Warming();
let currentTarget = DEFAULT_TARGET;

type Handlers = {
  readonly [M in keyof ServerRequests]: (
    params: ServerRequests[M][0],
  ) => ServerRequests[M][1] | Promise<ServerRequests[M][1]>;
};

const handlers: Handlers = {
  passes: () => passInfos(),
  targets: () => targetInfos(),
  templates: () => templateInfos(),
  bind({ document, model }) {
    subjects.bind(document, model);
    return null;
  },
  design({ document, draft, effects, ...look }) {
    const subject = subjects.of(document, draft);
    if (!draft) planInBackground(document, subject);
    const shown = lookOf(subject, look);
    const picture = viewRequest(subject, shown);
    const design = makeDesign(subject, shown, picture);
    if (!draft)
      warming.after(subject, (moved) =>
        JSON.stringify(makeDesign(subjects.of(document, moved), shown)),
      );
    if (!effects) return design;
    const place = subjects.placeOf(document, subject);
    return { ...design, effects: effectsInView(subject, picture, effects, place) };
  },
  node({ document, node, ...look }) {
    const subject = subjects.of(document);
    return nodeDetails(subject, lookOf(subject, look), node);
  },
  roofline({ document, ...look }) {
    const subject = subjects.of(document);
    return rooflineOf(subject, lookOf(subject, look));
  },
  tensor: ({ document, tensor }) => tensorStatistics(subjects.of(document), tensor),
  places({ document, open, pass }) {
    const subject = subjects.of(document);
    return placesFor(subject, lookOf(subject, { open, target: currentTarget }), passOf(pass));
  },
  gain({ document, pass: id, at, target }) {
    const subject = subjects.of(document);
    const pass = passOf(id);
    const parameters = pass.parameters.safeParse(defaultParameters(pass, subject, target));
    if (!parameters.success) throw new WhittleError(`${id} needs its parameters first`);
    const step = {
      index: -1,
      pass,
      at,
      except: [],
      strict: false,
      enabled: true,
      parameters: parameters.data,
    };
    return gainOf(subject, step, subject.resolve(target));
  },
  edit({ document, edit }) {
    const { model, targets } = freshRecipe(document);
    if (edit.kind === 'except' || edit.kind === 'part' || edit.kind === 'bits')
      requireSelectable(subjects.of(document), edit.step);
    if (edit.kind === 'bits') {
      const steps = subjects.of(document).recipe?.recipe.steps ?? [];
      return editAll(subjects.text(document), bitsEdits(steps, edit), { model, targets });
    }
    if (edit.kind !== 'add') return editRecipe(subjects.text(document), edit, { model, targets });
    const pass = passOf(edit.pass);
    const given = { ...visibleDefaults(pass, document), ...edit.parameters };
    return editRecipe(subjects.text(document), { ...edit, parameters: given }, { model, targets });
  },
  recipesFor: ({ model }) => recipesBeside(model),
  outputFor({ recipe, model }) {
    const about = aboutRecipe(recipe, model);
    const output = outputPath(about.model, about.recipeFile);
    return { output, exists: existsSync(output) };
  },
  dataFor({ recipe, model, files }) {
    const about = aboutRecipe(recipe, model);
    const parsed = parseRecipe(about.recipeText, vocabulary(about.folder)).recipe;
    const inputs = subjects.opened(about.model).graph.inputs.map(({ name }) => name);
    const madeUp = dataSummary(parsed?.calibration)?.generated ?? false;
    const lacking = parsed && (madeUp || !parsed.calibration) ? calibratedStep(parsed) : undefined;
    const choices = files.map((file) => dataChoice(file, about.folder, inputs)).sort(byFile);
    const named = {
      calibration: parsed?.calibration !== undefined,
      evaluation: parsed?.evaluation !== undefined,
    };
    return { missing: lacking?.pass.title ?? null, madeUp, named, choices };
  },
  apply: ({ recipe, model, calibration, output, overwrite, token }) =>
    runTold(
      { kind: 'apply', ...aboutRecipe(recipe, model), calibration, output, overwrite },
      token,
    ),
  async sensitivity({ recipe, model, step, byMetric, token }) {
    const about = aboutRecipe(recipe, model);
    const document = documentOf(recipe);
    // What it holds for is what stands there now: the recipe may change while it runs.
    const subject = subjects.of(document);
    const asked = subject.recipe?.recipe.steps[step];
    const key = asked ? effectKey(subject, asked, subjects.placeOf(document, subject)) : '';
    const answer = await runTold({ kind: 'sensitivity', ...about, step, byMetric }, token);
    return keptSensitivity(answer.sensitivity, subject, { key, byMetric });
  },
  async activations({ document, node, token, ...look }) {
    const subject = subjects.of(document);
    const asked = askedActivations(subject, lookOf(subject, look), node);
    const request = { kind: 'activations', ...aboutRecipe(document, undefined), asked } as const;
    return (await runTold(request, token)).activations;
  },
  async calibrate({ device, token }) {
    const { target, file } = await runTold({ kind: 'calibrate', device }, token);
    return { target, file };
  },
  cancel({ token }) {
    running.get(token)?.abort();
    return null;
  },
  onnxText: ({ model }) => textOf(model).text,
  onnxTextLine({ model, node }) {
    for (const [line, id] of textOf(model).nodes) if (id === node) return line;
    return 0;
  },
  setTarget({ target }) {
    targetProfile(target);
    currentTarget = target;
    connection.languages.inlayHint.refresh().catch(() => undefined);
    return null;
  },
};

for (const [method, handler] of Object.entries(handlers) as [
  string,
  (params: unknown) => unknown,
][])
  connection.onRequest(`whittle/${method}`, async (params: unknown) => {
    warming.interrupt();
    try {
      return await handler(params);
    } catch (error) {
      throw responseError(error);
    }
  });

function responseError(error: unknown): ResponseError {
  if (error instanceof CancelledError) return new ResponseError(-32800, 'cancelled');
  if (error instanceof WhittleError)
    return new ResponseError(ErrorCodes.InvalidRequest, error.message);
  connection.console.error(error instanceof Error ? (error.stack ?? error.message) : String(error));
  return new ResponseError(
    ErrorCodes.InternalError,
    `Whittle made a mistake: ${describeError(error)}`,
  );
}

function tell<E extends keyof ServerEvents>(event: E, payload: ServerEvents[E]): void {
  void connection.sendNotification(`whittle/${event}`, payload);
}

/** Runs a job that `cancel` knows by its token, and passes on its progress. */
async function runTold<R extends JobRequest>(request: R, token: string) {
  const controller = new AbortController();
  running.set(token, controller);
  try {
    return await runJob(request, controller.signal, ({ phase, detail, fraction }) =>
      tell('progress', { token, phase, detail, fraction }),
    );
  } finally {
    running.delete(token);
  }
}

// ---- what requests mean

function lookOf(
  subject: Subject,
  { target, open }: { readonly target: string; readonly open: Look['open'] },
): Look {
  return { target: subject.resolve(target), open };
}

function passOf(id: string): Pass {
  const pass = passes.find((candidate) => candidate.id === id);
  if (!pass) throw new WhittleError(`there is no pass ${id}`);
  return pass;
}

/** A pass that spreads over the model by itself would not choose the same layers less one. */
function requireSelectable({ recipe }: Subject, index: number): void {
  const step = recipe?.recipe.steps[index];
  if (step && !step.at && step.pass.defaultSites)
    throw new WhittleError(`${step.pass.title} chooses its layers by itself`, {
      hint: 'Name them in `at`, without those to leave out',
    });
}

type Properties = Readonly<Record<string, { readonly role?: string; readonly default?: unknown }>>;

/** Values for the parameters that a new step is about: ratios, and a target other than the one that is shown. */
function visibleDefaults(pass: Pass, document: string): Record<string, unknown> {
  return defaultParameters(pass, subjects.of(document), currentTarget);
}

function defaultParameters(pass: Pass, subject: Subject, shown: string): Record<string, unknown> {
  const info = passInfos().find(({ id }) => id === pass.id);
  const values: Record<string, unknown> = {};
  for (const [name, { role, default: value }] of Object.entries(
    (info?.parameters.properties ?? {}) as Properties,
  )) {
    if (role === 'target') values[name] = anotherTarget(subject, shown);
    else if (role !== undefined && value !== undefined) values[name] = value;
  }
  return values;
}

function anotherTarget({ recipe }: Subject, shown: string): string {
  const named = (recipe?.recipe.targets ?? []).find((id) => id !== shown);
  return (
    named ??
    targetInfos().find(({ id, kind }) => id !== shown && !shown.startsWith(kind))?.id ??
    shown
  );
}

/** What a recipe begins with when its first step is added. */
function freshRecipe(document: string): { model: string; targets: string[] } {
  const model = subjects.modelOf(
    document,
    parseRecipe(subjects.text(document), vocabulary('.')).recipe,
  );
  return { model: modelReference(path.dirname(fileOf(document)), model), targets: [currentTarget] };
}

interface AboutRecipe {
  readonly recipeText: string;
  readonly recipeFile: string | undefined;
  readonly folder: string;
  readonly model: string;
}

/** @param recipe URI of a document, or path of a file */
const documentOf = (recipe: string): string =>
  /^[a-z-]{2,}:/i.test(recipe) ? recipe : pathToFileURL(recipe).href;

function aboutRecipe(recipe: string, model: string | undefined): AboutRecipe {
  const document = documentOf(recipe);
  const recipeText = subjects.text(document);
  const folder = path.dirname(fileOf(document));
  const parsed = parseRecipe(recipeText, vocabulary(folder)).recipe;
  return {
    recipeText,
    recipeFile: document.startsWith('file:') ? fileOf(document) : undefined,
    folder,
    model: model ?? subjects.modelOf(document, parsed),
  };
}

function recipesBeside(model: string): string[] {
  const folder = path.dirname(model);
  return readdirSync(folder)
    .filter(isRecipeFile)
    .map((name) => path.join(folder, name))
    .filter((file) => {
      const named = parseRecipe(readText(file), vocabulary(folder)).recipe?.model;
      return named !== undefined && isSameFile(resolveFrom(folder, named), model);
    });
}

// ---- plans behind a preview

/** Plans what the preview stood in for, and says so when the design is stale. One plan for a document at a time. */
function planInBackground(document: string, subject: Subject): void {
  planning.get(document)?.abort();
  planning.delete(document);
  const { outcomes } = subject.preview;
  const first = outcomes.findIndex(({ estimated, step }) => estimated && !needsCalibration(step));
  const calibrated = outcomes.findIndex(({ step }) => needsCalibration(step));
  if (first < 0 || (calibrated >= 0 && calibrated < first)) return;
  const controller = new AbortController();
  planning.set(document, controller);
  const keys = subjects.keysOf(subject);
  const about = aboutRecipe(document, subject.bound.file);
  runJob({ kind: 'plan', ...about }, controller.signal)
    .then(({ decisions }) => {
      decisions.forEach((decision, position) => subjects.remember(keys[position]!, decision));
      tell('changed', { document });
    })
    .catch((error: unknown) => {
      if (!(error instanceof CancelledError))
        connection.console.warn(`planning: ${describeError(error)}`);
    });
}

// ---- texts

function textOf(model: string): ModelText {
  const { bound } = subjects.of(pathToFileURL(model).href);
  let text = texts.get(bound);
  if (!text) texts.set(bound, (text = modelText(bound.graph, bound.facts, path.basename(model))));
  return text;
}

/** `onnx-text:/path/of/model.onnx.txt` is the text of that model. */
const textModel = (document: string): string | undefined =>
  document.startsWith('onnx-text:') ? fileOf(document).replace(/\.txt$/, '') : undefined;

connection.onInitialize(() => ({
  capabilities: {
    textDocumentSync: TextDocumentSyncKind.Incremental,
    inlayHintProvider: true,
    completionProvider: {},
    hoverProvider: true,
  },
}));

connection.onCompletion(({ textDocument: { uri }, position }) => {
  const document = isProfileUri(uri) ? documents.get(uri) : undefined;
  return document ? profileCompletions(document, fileOf(uri), position) : [];
});

connection.onHover(({ textDocument: { uri }, position }) => {
  const document = isProfileUri(uri) ? documents.get(uri) : undefined;
  return document ? profileHover(document, fileOf(uri), position) : null;
});

connection.languages.inlayHint.on(({ textDocument: { uri }, range }) => {
  const document = documents.get(uri);
  if (!document) return [];
  try {
    const model = textModel(uri);
    if (model === undefined) {
      const subject = subjects.of(uri);
      return recipeHints(document, subject, subject.resolve(currentTarget));
    }
    const subject = subjects.of(pathToFileURL(model).href);
    return modelHints(textOf(model), range, subject, subject.resolve(currentTarget));
  } catch {
    return []; // what is wrong is said by the diagnostics
  }
});

documents.onDidChangeContent(({ document }) => diagnose(document));

function diagnose(document: TextDocument): void {
  if (!isRecipeUri(document.uri) && !isProfileUri(document.uri)) return;
  void connection.sendDiagnostics({ uri: document.uri, diagnostics: diagnosticsFor(document) });
}

function diagnosticsFor(document: TextDocument) {
  if (isProfileUri(document.uri)) return profileDiagnostics(document, fileOf(document.uri));
  try {
    return diagnosticsOf(document, subjects.of(document.uri));
  } catch (error) {
    return document.getText().trim() === '' ? [] : [modelDiagnostic(document, error)];
  }
}

documents.onDidClose(({ document }) => {
  planning.get(document.uri)?.abort();
  planning.delete(document.uri);
  subjects.forget(document.uri);
  void connection.sendDiagnostics({ uri: document.uri, diagnostics: [] });
});

connection.onDidChangeWatchedFiles(({ changes }) => {
  const open = documents.all().map((document) => document.uri);
  for (const document of new Set([...open, ...changes.map((change) => change.uri)]))
    tell('changed', { document });
  documents.all().forEach(diagnose);
});

documents.listen(connection);
connection.listen();
