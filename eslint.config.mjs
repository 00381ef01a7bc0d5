import js from '@eslint/js';
import boundaries from 'eslint-plugin-boundaries';
import reactHooks from 'eslint-plugin-react-hooks';
import globals from 'globals';
import tseslint from 'typescript-eslint';

/** Who may import whom: the arrows of the architecture, as folders. What a folder does not list, it may not import. */
const MAY_IMPORT = {
  webview: ['protocol', 'drawing'],
  extension: ['protocol', 'errors'],
  program: [
    'design',
    'recipe',
    'search',
    'passes',
    'analyses',
    'cost',
    'runtime',
    'data',
    'graph',
    'onnx',
    'protocol',
    'errors',
  ],
  design: ['recipe', 'passes', 'cost', 'graph', 'onnx', 'protocol', 'errors'],
  recipe: [
    'passes',
    'analyses',
    'cost',
    'runtime',
    'data',
    'graph',
    'onnx',
    'drawing',
    'protocol',
    'errors',
  ],
  passes: ['graph', 'onnx', 'protocol', 'errors'],
  analyses: ['passes', 'graph', 'onnx', 'protocol', 'errors'],
  cost: ['graph', 'onnx', 'protocol', 'errors'],
  runtime: ['data', 'graph', 'onnx', 'protocol', 'errors'],
  data: ['onnx', 'protocol', 'errors'],
  graph: ['onnx', 'protocol', 'errors'],
  onnx: ['errors'],
  drawing: ['protocol'],
  protocol: [],
  errors: [],
};

const elements = [
  { type: 'protocol', pattern: 'language/protocol.ts', partialMatch: false },
  { type: 'errors', pattern: 'language/errors.ts', partialMatch: false },
  { type: 'program', pattern: 'language/*.ts', partialMatch: false },
  { type: 'program', pattern: 'language/server/**', partialMatch: false },
  { type: 'program', pattern: 'language/cli/**', partialMatch: false },
  ...[
    'design',
    'recipe',
    'search',
    'passes',
    'analyses',
    'cost',
    'runtime',
    'data',
    'graph',
    'onnx',
    'drawing',
  ].map((type) => ({ type, pattern: `language/${type}/**`, partialMatch: false })),
  { type: 'extension', pattern: 'extension/**', partialMatch: false },
  { type: 'webview', pattern: 'webview/**', partialMatch: false },
];

export default tseslint.config(
  {
    ignores: ['node_modules', 'dist', 'out', '.vscode-server', '.vscode-test', '**/*.generated.ts'],
  },
  js.configs.recommended,
  {
    files: ['**/*.{ts,tsx}'],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: {
      parserOptions: {
        project: ['./tsconfig.json', './webview/tsconfig.json', './test/webview/tsconfig.json'],
        tsconfigRootDir: import.meta.dirname,
        noWarnOnMultipleProjects: true,
      },
    },
    rules: {
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-non-null-assertion': 'off', // indexing of typed arrays is checked by the loop around it
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/prefer-for-of': 'off', // an index loop over a typed array is measurably faster
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_' },
      ],
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/unified-signatures': 'off',
    },
  },
  {
    files: ['language/**/*.ts', 'extension/**/*.ts', 'webview/**/*.{ts,tsx}'],
    plugins: { boundaries },
    settings: {
      'boundaries/elements': elements,
      'import/resolver': { typescript: { project: ['tsconfig.json', 'webview/tsconfig.json'] } },
    },
    rules: {
      'boundaries/dependencies': [
        'error',
        {
          default: 'disallow',
          message:
            '{{from.element.type}} may not import {{to.element.type}}: see the arrows in CONTRIBUTING.md',
          policies: Object.entries(MAY_IMPORT).map(([from, allowed]) => ({
            from: { element: { type: from } },
            allow: [from, ...allowed].map((type) => ({ to: { element: { type } } })),
          })),
        },
      ],
    },
  },
  {
    files: ['language/**/*.ts', 'webview/**/*.{ts,tsx}'],
    rules: {
      'no-restricted-imports': [
        'error',
        { paths: [{ name: 'vscode', message: 'Only extension/ knows VS Code.' }] },
      ],
    },
  },
  { files: ['webview/**/*.tsx'], ...reactHooks.configs.flat.recommended },
  { files: ['**/*.mjs'], languageOptions: { globals: globals.node } },
  // What a browser test hands to the page runs there.
  { files: ['test/**/*.mjs'], languageOptions: { globals: globals.browser } },
);
