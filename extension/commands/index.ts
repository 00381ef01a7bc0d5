import * as vscode from 'vscode';
import { DESIGNER_ACTIONS } from '../../language/protocol';
import type { Context } from '../context';
import { showFailure } from '../failures';
import { actionCommand, COMMAND } from '../ids';
import { showOnnxText } from '../onnxText';
import { reveal } from '../reveal';
import { applyCommand } from './apply';
import { calibrateTargetCommand } from './calibrateTarget';
import { chooseDataCommand } from './chooseData';
import {
  newRecipeCommand,
  openDesignerCommand,
  openDesignerToSideCommand,
  openRecipeToSideCommand,
} from './openDesigner';
import { modelFor } from './pick';
import { selectTargetCommand } from './selectTarget';

type Command = (argument?: unknown) => Promise<void> | void;

export function registerCommands(context: Context): vscode.Disposable {
  const commands: Readonly<Record<string, Command>> = {
    [COMMAND.openDesigner]: openDesignerCommand(context),
    [COMMAND.openDesignerToSide]: openDesignerToSideCommand(context),
    [COMMAND.openRecipeToSide]: openRecipeToSideCommand(context),
    [COMMAND.newRecipe]: newRecipeCommand(context),
    [COMMAND.apply]: applyCommand(context),
    [COMMAND.chooseCalibrationData]: chooseDataCommand(context, 'calibration'),
    [COMMAND.chooseEvaluationData]: chooseDataCommand(context, 'evaluation'),
    [COMMAND.openOnnxText]: async (argument) => {
      const model = await modelFor(argument);
      if (model) await showOnnxText(context, model);
    },
    [COMMAND.selectTarget]: selectTargetCommand(context),
    [COMMAND.calibrateTarget]: calibrateTargetCommand(context),
    [COMMAND.revealOutput]: () => reveal(context.runs.lastOutput),
    [COMMAND.restartBackend]: () => context.backend.restart(),
    [COMMAND.showLog]: () => context.log.show(),
    ...designerActions(context),
  };
  return vscode.Disposable.from(
    ...Object.entries(commands).map(([id, command]) =>
      vscode.commands.registerCommand(id, (argument: unknown) => run(context, command, argument)),
    ),
  );
}

/** Keys that people bind reach the view in front, which knows what is selected. */
function designerActions({ views }: Context): Record<string, Command> {
  const command = (action: (typeof DESIGNER_ACTIONS)[number]): Command => {
    return () => views.active?.session.send('action', { action });
  };
  return Object.fromEntries(
    DESIGNER_ACTIONS.map((action) => [actionCommand(action), command(action)]),
  );
}

async function run({ log }: Context, command: Command, argument: unknown): Promise<void> {
  try {
    await command(argument);
  } catch (error) {
    showFailure(log, error);
  }
}
