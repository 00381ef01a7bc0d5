/**
 * `npm start`: the real VS Code workbench in the browser, with the extension as it stands here and the designer open on a
 * sample model. `--port N` fixes the port, `--no-open-designer` leaves the designer closed, `--home FOLDER` keeps workspace and
 * settings elsewhere.
 */
import path from 'node:path';
import { parseArgs } from 'node:util';
import { end, endOnSignals } from './lib/processes.mjs';
import { installDependencies } from './lib/project.mjs';
import { prepareData, serveVsCode } from './lib/vscode-server.mjs';
import { FIRST_MODEL, prepareWorkspace } from './lib/workspace.mjs';
import { SERVER_HOME, setUpVsCode } from './setup-vscode.mjs';

const { values: options } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    home: { type: 'string', default: SERVER_HOME },
    'no-open-designer': { type: 'boolean' },
  },
});

endOnSignals();

try {
  await installDependencies();
  const { build } = await import('./build.mjs'); // needs what was just installed
  const home = path.resolve(options.home);
  const [server] = await Promise.all([setUpVsCode(), build()]);
  const workspace = prepareWorkspace(path.join(home, 'workspace'));
  const data = path.join(home, 'data');
  prepareData(data);
  const model = options['no-open-designer'] ? undefined : path.join(workspace, FIRST_MODEL);
  const vscode = await serveVsCode({
    server,
    data,
    port: Number(options.port),
    env: model ? { WHITTLE_OPEN: model } : {},
  });
  vscode.child.on('exit', () => end(1));
  console.log(`\n  Whittle is ready: ${vscode.url(workspace)}\n\n  Ctrl-C ends it.`);
} catch (error) {
  console.error(error.message);
  await end(1);
}
