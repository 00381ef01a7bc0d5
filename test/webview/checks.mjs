/** Named checks on pages of the harness, one line each; the process fails when one does. */
import { buildHarness } from './build.mjs';
import { openBrowser } from './browser.mjs';

/** Generous: the machine may be busy, and what holds does not wait. */
const MOST_MS = 90_000;
const PATIENCE_MS = 20_000;

/** Runs all checks, or those whose name contains the first argument. `check(name, query, run)` opens a page as the query says and runs on it; see `browser.mjs` for the page. */
export async function suite(title, define) {
  const checks = [];
  define((name, query, run, options) => checks.push({ name, query, run, options }));
  const wanted = checks.filter(({ name }) => name.includes(process.argv[2] ?? ''));
  await buildHarness();
  const browser = await openBrowser();
  let failed = 0;
  for (const { name, query, run, options } of wanted) {
    const { page, problems } = await browser.open(query, options);
    page.setDefaultTimeout(PATIENCE_MS);
    try {
      await withLimit(run(helpers(page)), name);
      if (problems.length > 0) throw new Error(`console: ${problems.join(' | ')}`);
      console.log(`ok    ${title}: ${name}`);
    } catch (error) {
      failed++;
      console.log(
        `FAIL  ${title}: ${name}\n      ${String(error.message).split('\n').slice(0, 6).join('\n      ')}`,
      );
    }
    await page.close();
  }
  await browser.close();
  console.log(`${wanted.length - failed} of ${wanted.length} hold`);
  if (failed > 0) process.exitCode = 1;
}

export function equal(actual, expected, what = 'value') {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (a !== b) throw new Error(`${what}: got ${a}, expected ${b}`);
}

export function holds(condition, what) {
  if (!condition) throw new Error(what);
}

function withLimit(promise, name) {
  let timer;
  const limit = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${name} took more than ${MOST_MS} ms`)), MOST_MS);
  });
  return Promise.race([promise, limit]).finally(() => clearTimeout(timer));
}

function helpers(page) {
  const id = (testId) => page.getByTestId(testId);
  const centre = async (testId) => {
    await id(testId).waitFor();
    const { x, y, width, height } = await id(testId).boundingBox();
    return { x: x + width / 2, y: y + height / 2 };
  };
  return {
    page,
    id,
    centre,
    /** Requests of a method that the page sent so far. */
    sent: (method) =>
      page.evaluate(
        (wanted) => window.mock.log.filter((one) => one.method === wanted).map((one) => one.params),
        method,
      ),
    /** Waits until a question to the page is answered as expected. */
    async until(ask, expected, what) {
      let last;
      const end = Date.now() + PATIENCE_MS;
      while (Date.now() < end) {
        last = await ask();
        if (
          typeof expected === 'function'
            ? expected(last)
            : JSON.stringify(last) === JSON.stringify(expected)
        )
          return;
        await page.waitForTimeout(50);
      }
      throw new Error(`${what}: still ${JSON.stringify(last)}`);
    },
    /** The name of what has the keyboard. */
    focused: () =>
      page.evaluate(() => {
        const element = document.activeElement;
        return element?.dataset.testid ?? element?.tagName.toLowerCase() ?? '';
      }),
    /** Shows all of the graph, and waits until the view stands still there. */
    async fit() {
      await id('fit').click();
      const view = page.locator('.react-flow__viewport');
      const place = () => view.evaluate(({ style }) => style.transform);
      for (let before, now = await place(); now !== before; now = await place()) {
        before = now;
        await page.waitForTimeout(400);
      }
    },
    steps: () => page.locator('.step-title').allTextContents(),
    said: () =>
      page.evaluate(() =>
        [...document.querySelectorAll('[data-testid^="say-"]')]
          .map((one) => one.textContent)
          .join(''),
      ),
    async drag(from, to, { drop = true } = {}) {
      const start = await centre(from);
      const end = await centre(to);
      await page.mouse.move(start.x, start.y);
      await page.mouse.down();
      await page.mouse.move(start.x + 12, start.y + 8, { steps: 3 });
      await page.mouse.move(end.x, end.y, { steps: 8 });
      if (drop) await page.mouse.up();
    },
  };
}
