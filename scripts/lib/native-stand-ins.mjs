import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/**
 * Two native modules are loaded by the VS Code server at start and are absent without their install scripts. The server
 * runs without them, noisily and without log files; these JavaScript bodies do the same work.
 */
export function addStandIns(server) {
  for (const name of ['@vscode/native-watchdog', 'native-watchdog']) {
    const folder = path.join(server, 'node_modules', name);
    if (!existsSync(folder)) continue;
    mkdirSync(path.join(folder, 'build/Release'), { recursive: true });
    writeFileSync(path.join(folder, 'build/Release/watchdog.js'), WATCHDOG);
  }
  const spdlog = path.join(server, 'node_modules/@vscode/spdlog');
  if (!existsSync(spdlog) || existsSync(path.join(spdlog, 'build/Release/spdlog.node'))) return;
  writeFileSync(path.join(spdlog, 'index.js'), SPDLOG);
}

/** Ends a helper process when the server that it serves is gone. */
const WATCHDOG = `exports.start = (pid) => {
  const timer = setInterval(() => {
    try { process.kill(pid, 0); } catch { process.exit(87); }
  }, 1000);
  timer.unref();
};
exports.exit = (code) => process.exit(code);
`;

const SPDLOG = `const fs = require('node:fs');
const path = require('node:path');
const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'critical'];
class Logger {
  constructor(file) {
    this.file = file;
    this.level = 2;
    this.formatted = true;
    fs.mkdirSync(path.dirname(file), { recursive: true });
  }
  write(level, message) {
    const line = this.formatted ? new Date().toISOString() + ' [' + level + '] ' + message + '\\n' : message;
    fs.appendFile(this.file, line, () => {});
  }
  getLevel() { return this.level; }
  setLevel(level) { this.level = level; }
  setPattern() {}
  clearFormatters() { this.formatted = false; }
  flush() {}
  drop() {}
}
LEVELS.forEach((level, rank) => {
  Logger.prototype[level] = function (message) { if (this.level <= rank) this.write(level, message); };
});
const create = async (name, file) => new Logger(file);
exports.version = 1;
exports.Logger = Logger;
exports.setLevel = () => {};
exports.setFlushOn = () => {};
exports.createRotatingLogger = create;
exports.createAsyncRotatingLogger = create;
`;
