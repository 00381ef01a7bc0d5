/** Names that `package.json` declares too; a test in the extension host holds the two together. */

export const VIEW = {
  designer: 'whittle.designer',
  viewer: 'whittle.model',
  report: 'whittle.report',
} as const;

export const LANGUAGE = {
  recipe: 'whittle-recipe',
  target: 'whittle-target',
  onnxText: 'onnx-text',
} as const;

export const COMMAND = {
  openDesigner: 'whittle.openDesigner',
  openDesignerToSide: 'whittle.openDesignerToSide',
  openRecipeToSide: 'whittle.openRecipeToSide',
  newRecipe: 'whittle.newRecipe',
  apply: 'whittle.apply',
  chooseCalibrationData: 'whittle.chooseCalibrationData',
  chooseEvaluationData: 'whittle.chooseEvaluationData',
  openOnnxText: 'whittle.openOnnxText',
  selectTarget: 'whittle.selectTarget',
  calibrateTarget: 'whittle.calibrateTarget',
  revealOutput: 'whittle.revealOutput',
  restartBackend: 'whittle.restartBackend',
  showLog: 'whittle.showLog',
} as const;

/** Command of a designer action that people can bind keys to. */
export const actionCommand = (action: string) => `whittle.designer.${action}`;
