/** What comes with Whittle: passes, target profiles, recipe templates. */
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { loadTargets, resolveTarget } from '../cost/targets';
import { describeBasis, type TargetProfile } from '../cost/profile';
import { describeError, WhittleError } from '../errors';
import type { Pass } from '../passes/pass';
import { PASSES } from '../passes/registry.generated';
import type { ParameterSchema, PassInfo, TargetInfo, TemplateInfo } from '../protocol';
import { readText, RECIPE_SUFFIX } from './files';
import type { Vocabulary } from './recipe';
import { HOST, hostTarget, isCalibrated } from './thisMachine';

/** `templates/` stands beside the bundles and above the sources. */
const templates = findAbove(import.meta.dirname, 'templates');
export const TARGETS_FOLDER = path.join(templates, 'targets');
export const SAMPLES_FOLDER = path.join(templates, 'samples');
const RECIPES_FOLDER = path.join(templates, 'recipes');

function findAbove(from: string, name: string): string {
  for (let folder = from; ; folder = path.dirname(folder)) {
    if (existsSync(path.join(folder, name, 'targets'))) return path.join(folder, name);
    if (path.dirname(folder) === folder)
      throw new WhittleError('the bundled templates are missing', {
        hint: 'Install Whittle again',
      });
  }
}

/** Costs are shown for this target until somebody chooses. */
export const DEFAULT_TARGET = 'mobile.pixel3-cpu';

export const passes: readonly Pass[] = PASSES;

export function passInfos(): PassInfo[] {
  return passes.map(({ id, title, family, summary, paper, parameters }) => ({
    id,
    title,
    family,
    summary,
    paper: paper ?? null,
    parameters: z.toJSONSchema(parameters, { io: 'input' }) as unknown as ParameterSchema,
  }));
}

/** A profile by id, or by a path that starts at `folder`. */
export const targetProfile = (idOrPath: string, folder?: string): TargetProfile =>
  idOrPath === HOST ? hostTarget() : resolveTarget(idOrPath, TARGETS_FOLDER, folder);

/** This machine first, once it is calibrated. */
export function targetInfos(): TargetInfo[] {
  const own = isCalibrated() ? [hostTarget()] : [];
  return [...own, ...loadTargets(TARGETS_FOLDER)].map(targetInfo);
}

export function targetInfo(profile: TargetProfile): TargetInfo {
  const { id, kind, title, sources } = profile;
  return { id, kind, title, basis: describeBasis(profile), sources };
}

/** @param folder of the recipe, from which paths of profiles start */
export function vocabulary(folder: string): Vocabulary {
  return {
    passes,
    target(id) {
      try {
        targetProfile(id, folder);
        return undefined;
      } catch (error) {
        return describeError(error);
      }
    },
  };
}

/** Recipes that come with Whittle: the first comment line of each is its title, the rest of the comment its summary. */
export function templateInfos(): TemplateInfo[] {
  return readdirSync(RECIPES_FOLDER)
    .filter((name) => name.endsWith(RECIPE_SUFFIX))
    .sort()
    .map((name) => {
      const file = path.join(RECIPES_FOLDER, name);
      const comment = /^(?:#.*\n)+/.exec(readText(file))?.[0] ?? '';
      const [title = name, ...summary] = comment
        .split('\n')
        .map((line) => line.replace(/^#\s*/, ''));
      return {
        id: name.slice(0, -RECIPE_SUFFIX.length),
        title,
        summary: summary.join(' ').trim(),
        path: file,
      };
    });
}
