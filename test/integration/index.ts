import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import Mocha from 'mocha';

/**
 * What VS Code calls in its extension host. Each suite is imported here: they are bundled, and the list is the order. With
 * `WHITTLE_TEST_REPORT`, the results go to that file too.
 */
export async function run(): Promise<void> {
  const mocha = new Mocha({ ui: 'bdd', timeout: 60_000, reporter: Lines });
  mocha.suite.emit(Mocha.Suite.constants.EVENT_FILE_PRE_REQUIRE, globalThis, '', mocha);
  await import('./contributions.test');
  await import('./recipes.test');
  await import('./views.test');
  const failures = await new Promise<number>((resolve) => mocha.run(resolve));
  if (failures) throw new Error(`${failures} tests failed`);
}

interface Result {
  readonly title: string;
  readonly state: 'passed' | 'failed' | 'skipped';
  readonly message?: string;
}

/** One marked line per test, since the host's log carries everything else as well. */
class Lines extends Mocha.reporters.Base {
  readonly #results: Result[] = [];

  constructor(runner: Mocha.Runner, options?: Mocha.MochaOptions) {
    super(runner, options);
    runner.on('pass', (test) => this.#add({ title: test.fullTitle(), state: 'passed' }));
    runner.on('pending', (test) => this.#add({ title: test.fullTitle(), state: 'skipped' }));
    runner.on('fail', (test, error: Error) =>
      this.#add({
        title: test.fullTitle(),
        state: 'failed',
        message: error.stack ?? error.message,
      }),
    );
    runner.once('end', () => this.#write());
  }

  #add(result: Result): void {
    this.#results.push(result);
    const lines = [`${SIGN[result.state]} ${result.title}`, ...(result.message?.split('\n') ?? [])];
    for (const line of lines) console.log(`[test] ${line}`);
  }

  #write(): void {
    const file = process.env.WHITTLE_TEST_REPORT;
    if (!file) return;
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, JSON.stringify(this.#results, null, 2));
  }
}

const SIGN = { passed: '✔', failed: '✖', skipped: '-' } as const;
