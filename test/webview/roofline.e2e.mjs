/** The roofline: a chart and a table of the same layers, bound to the graph, by keyboard and pointer. */
import { checkAccessibility } from './accessibility.mjs';
import { equal, holds, suite } from './checks.mjs';

const FIRST = '/blocks.0/mlp/fc1';

await suite('roofline', (check) => {
  for (const theme of ['dark', 'light-modern', 'hc-black', 'hc-light'])
    check(
      `the chart and the table in ${theme} are legible and labelled`,
      { theme, steps: 'two' },
      async ({ page, id }) => {
        await id('roofline-button').click();
        await id('roofline-chart').waitFor();
        equal(await checkAccessibility(page), []);
        await id('roofline-as-table').click();
        await id('roofline-table').waitFor();
        equal(await checkAccessibility(page), []);
      },
    );

  check(
    'a key opens it, arrows walk, Enter selects, Escape closes',
    { steps: 'two' },
    async ({ page, id, until, focused }) => {
      await id('node-/patch_embed').click();
      await page.keyboard.press('r');
      await until(focused, `roofline-dot-${FIRST}`, 'the dearest layer has the keyboard');
      const words = await id(`roofline-dot-${FIRST}`).getAttribute('aria-label');
      for (const word of ['MatMul', 'MAC/B', 'GMAC/s', '%', 'bound by compute', 'before: '])
        holds(words.includes(word), `${word} in “${words}”`);
      await page.keyboard.press('End');
      await page.keyboard.press('ArrowUp');
      await page.keyboard.press('Home');
      await page.keyboard.press('Enter');
      await until(
        () => page.locator('.node.is-selected').getAttribute('data-node'),
        FIRST,
        'what hid the layer is opened',
      );
      await until(focused, `roofline-dot-${FIRST}`, 'the keyboard stays');
      await page.locator('.roofline-dot.is-selected').first().waitFor();
      await page.keyboard.press('Escape');
      await until(focused, 'roofline-button', 'closed');
      equal(await page.getByTestId('roofline').count(), 0);
    },
  );

  check('a click selects, a hover tells', { steps: 'two' }, async ({ page, id, until }) => {
    await id('roofline-button').click();
    const dot = id('roofline-dot-/head');
    await dot.hover();
    await page.locator('.roofline-tooltip').getByText('weight bandwidth').waitFor();
    await dot.click();
    await until(
      () => page.locator('.node.is-selected').getAttribute('data-node'),
      '/head',
      'selected',
    );
    await id('roofline-as-table').click();
    await id('roofline-row-/patch_embed').click();
    await until(
      () => page.locator('.node.is-selected').getAttribute('data-node'),
      '/patch_embed',
      'selected from the table',
    );
  });

  check(
    'it follows the target and the recipe, and says in words where there is none',
    { steps: 'two' },
    async ({ page, id, until }) => {
      await id('roofline-button').click();
      await page.locator('.roofline-was').first().waitFor();
      await id('step-toggle-0').click();
      await id('step-toggle-1').click();
      await until(() => page.locator('g > .roofline-was').count(), 0, 'nothing has moved');
      await id('totals-reram.isaac').click();
      await id('roofline-none').waitFor();
      holds(
        (await id('families').textContent()).includes('MatMul'),
        'kinds of layers all the same',
      );
    },
  );

  check('the totals fit beside a side bar', { steps: 'two' }, async ({ page, id }) => {
    await page.setViewportSize({ width: 1060, height: 760 });
    await id('roofline-button').click();
    await id('roofline-chart').waitFor();
    for (const box of ['.totals-scroll', '.families', '.roofline-body'])
      equal(
        await page.locator(box).evaluate((element) => element.scrollWidth - element.clientWidth),
        0,
        `${box} is wider than its place`,
      );
  });
});
