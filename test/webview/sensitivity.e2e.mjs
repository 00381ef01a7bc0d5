/** What a step does to one layer at a time: measured, shown on the graph and in a table, and acted upon by keyboard. */
import { checkAccessibility } from './accessibility.mjs';
import { equal, holds, suite } from './checks.mjs';

const THEMES = ['dark', 'light-modern', 'hc-black', 'hc-light'];
const OPEN = { steps: 'two', open: '/blocks.3,/blocks.3/mlp' };

/** Selects the second step and measures it. */
async function measured({ id, page }) {
  await id('step-select-1').click();
  await page.keyboard.press('s');
  await id('effect-0').waitFor();
}

await suite('sensitivity', (check) => {
  for (const theme of THEMES)
    check(
      `the table and the heat map in ${theme} are legible and labelled`,
      { ...OPEN, theme },
      async ({ id, page, fit, ...rest }) => {
        await measured({ id, page, ...rest });
        await page.waitForTimeout(500);
        equal(await checkAccessibility(page), []);
        await page.keyboard.press('Delete');
        await page.locator('.effects-table .is-out').waitFor();
        await page.waitForTimeout(500);
        equal(await checkAccessibility(page), []);
        await fit();
        equal(await checkAccessibility(page), []);
      },
    );

  check(
    'three keys measure, leave out the most fragile layer and estimate again',
    OPEN,
    async ({ id, page, focused, until, sent, said }) => {
      await id('step-select-1').click();
      const before = await id('totals-fpga.zcu102-dpu').locator('td').first().textContent();
      await page.keyboard.press('s');
      await until(focused, 'effect-0', 'the first row has the keyboard');
      await until(said, (words) => words.includes('is the most fragile'), 'it is said');
      const layer = await id('effect-0').getAttribute('data-layer');
      await page.keyboard.press('Delete');
      const edit = { kind: 'except', step: 1, node: layer, excepted: true };
      await until(() => sent('edit'), [edit], 'left out');
      await until(
        () => id('totals-fpga.zcu102-dpu').locator('td').first().textContent(),
        (now) => now !== before,
        'new totals',
      );
      await page.locator(`tr.is-out[data-layer="${layer}"]`).waitFor();
      equal(await page.getByTestId('effects-stale').count(), 0, 'the others still hold');
      await page.keyboard.press('s');
      await until(() => sent('sensitivity').then((all) => all.length), 1, 'nothing to measure');
      await page.keyboard.press('Delete');
      await until(() => page.locator('.effects-table .is-out').count(), 0, 'taken in again');
    },
  );

  check(
    'arrows walk and show each layer on the canvas',
    OPEN,
    async ({ id, page, until, focused }) => {
      await measured({ id, page });
      for (const [key, row] of [
        ['ArrowDown', 1],
        ['ArrowDown', 2],
        ['End', 47],
        ['Home', 0],
      ]) {
        await page.keyboard.press(key);
        if (key !== 'End') await until(focused, `effect-${row}`, key);
        await until(() => page.locator('.node.is-selected').count(), 1, `${key}: one is selected`);
      }
      await page.keyboard.press('ArrowRight');
      const layer = await id('effect-0').getAttribute('data-layer');
      await until(
        () => page.locator('.node.is-selected').getAttribute('data-node'),
        layer,
        'what hid it is opened',
      );
      await page.keyboard.press('Escape');
      await until(focused, 'step-select-1', 'back at the step');
      equal(await page.getByTestId('effects-panel').count(), 0);
    },
  );

  check('nodes say the effect in words and colour', OPEN, async ({ id, page }) => {
    await measured({ id, page });
    const [layer, effect] = await id('effect-0').evaluate((row) => [
      row.dataset.layer,
      row.cells[2].textContent,
    ]);
    await page.keyboard.press('ArrowRight');
    const node = id(`node-${layer}`);
    await node.waitFor();
    holds((await node.textContent()).includes(effect), `${layer} says ${effect}`);
    holds((await node.getAttribute('aria-label')).includes(`Sensitivity ${effect}`), 'spoken');
    holds((await id('legend').textContent()).includes(effect), 'the legend ends there');
    await id('metric-picker').click();
    await id('pick-latency').click();
    holds(!(await node.textContent()).includes(effect), 'costs are back');
  });

  check(
    'it can be cancelled',
    { ...OPEN, ticks: '90' },
    async ({ id, page, until, sent, focused }) => {
      await id('step-select-1').click();
      await page.keyboard.press('s');
      await until(focused, 'effects-running', 'the panel has the keyboard');
      await page.keyboard.press('Escape');
      await until(() => page.getByTestId('effects-running').count(), 0, 'ended');
      equal((await sent('cancelSensitivity')).length, 1);
      await until(focused, 'step-select-1', 'back at the step');
      equal(await page.getByTestId('effects-failed').count(), 0);
    },
  );

  check('a changed parameter makes it stale, not lost', OPEN, async ({ id, page, until }) => {
    await measured({ id, page });
    await page.evaluate(() => {
      const set = { kind: 'set', step: 1, parameter: 'symmetric', value: true };
      window.mock.receive({ kind: 'request', id: -1, method: 'edit', params: set });
    });
    await id('effects-stale').waitFor();
    holds((await id('legend').textContent()).includes('out of date'), 'the legend says so');
    holds((await page.locator('.card-effect.is-stale').count()) > 0, 'nodes say so');
    await id('effects-again').click();
    await until(() => page.getByTestId('effects-stale').count(), 0, 'measured again');
  });

  check(
    'made-up inputs are said aloud, the metric is asked for',
    OPEN,
    async ({ id, page, sent, until }) => {
      await measured({ id, page });
      await id('effects-made-up').waitFor();
      await id('effects-by-metric').click();
      await until(
        () => sent('sensitivity').then((all) => all.at(-1)),
        { step: 1, byMetric: true },
        'by metric',
      );
      await page.getByText('top1 without the step').waitFor();
    },
  );

  check(
    'one key gives a layer more bits, where the pass has them',
    { steps: 'int4', open: '/blocks.3,/blocks.3/mlp' },
    async ({ id, page, until, sent, steps }) => {
      await id('step-select-0').click();
      await page.keyboard.press('s');
      await id('effect-0').waitFor();
      const node = await id('effect-0').getAttribute('data-layer');
      await page.keyboard.press('+');
      const edit = { kind: 'part', step: 0, node, parameter: 'bits', value: 8 };
      await until(() => sent('edit'), [edit], 'a step of its own');
      await until(steps, ['Weights INT4', 'Weights INT4'], 'two steps');
      await until(
        () => id('effect-0').textContent(),
        (words) => words.includes('8 bits, in another step'),
        'the row says so',
      );
      equal(await page.getByTestId('effects-stale').count(), 0);
      await page.waitForTimeout(400);
      equal(await checkAccessibility(page), []);
    },
  );

  check('without a selected step it asks which', OPEN, async ({ id, page, until, sent }) => {
    await id('node-/patch_embed').click();
    await page.keyboard.press('s');
    await id('step-picker').waitFor();
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    await until(() => sent('sensitivity'), [{ step: 1, byMetric: false }], 'the second');
  });
});
