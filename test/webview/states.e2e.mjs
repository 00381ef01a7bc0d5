/** Opening, failing, waiting, applying; and the report. */
import { equal, holds, suite } from './checks.mjs';

await suite('states', (check) => {
  check('a skeleton stands in until the design comes', { delay: '400' }, async ({ id, page }) => {
    await id('skeleton').waitFor({ timeout: 300 });
    await id('designer').waitFor();
    equal(await page.getByTestId('skeleton').count(), 0);
  });

  check(
    'what cannot be opened says why and what to do',
    { failing: 'tiny.onnx is not an ONNX model (byte 0)' },
    async ({ page, id, until, sent }) => {
      await page.getByText('tiny.onnx is not an ONNX model (byte 0)').waitFor();
      await id('open-text').click();
      await until(() => sent('open'), [{ what: 'onnxText' }], 'text');
      await id('copy-details').waitFor();
      const designs = (await sent('design')).length;
      await id('try-again').click();
      await until(() => sent('design').then((all) => all.length), designs + 1, 'asked again');
    },
  );

  check(
    'a free dimension asks for its size',
    { free: '1', model: 'resnet' },
    async ({ page, id, until, sent }) => {
      await id('bind-batch').fill('x');
      await page.keyboard.press('Enter');
      equal(await sent('edit'), []);
      await id('bind-batch').fill('4');
      await page.keyboard.press('Enter');
      await until(() => sent('edit'), [{ kind: 'bind', symbol: 'batch', size: 4 }], 'bound');
      await until(() => page.getByTestId('bind-batch').count(), 0, 'banner gone');
    },
  );

  check(
    'an assumed size is told and can be dismissed',
    { model: 'resnet' },
    async ({ page, id, until }) => {
      await page.getByText('batch = 1 is assumed').waitFor();
      await id('assumed').getByRole('button').click();
      await until(() => page.getByTestId('assumed').count(), 0, 'dismissed');
    },
  );

  check('problems are listed and lead to their nodes', { problems: '1' }, async ({ id, until }) => {
    await id('problems-toggle').click();
    await id('link-/norm').click();
    await until(
      () => id('node-/norm').evaluate((node) => node.classList.contains('is-selected')),
      true,
      'node',
    );
  });

  check('a failing design keeps the picture and says so', {}, async ({ page, id, until }) => {
    await id('node-/patch_embed').waitFor();
    await page.evaluate(() => {
      window.mock.options.failing = 'step 1: unknown pass';
      window.mock.send('changed', null);
    });
    await page.getByText('The preview is out of date: step 1: unknown pass').waitFor();
    await until(() => id('preview').getAttribute('data-state'), 'stale', 'state');
    equal(await page.getByTestId('node-/patch_embed').count(), 1);
    await page.evaluate(() => {
      window.mock.options.failing = null;
      window.mock.send('changed', null);
    });
    await until(() => id('preview').getAttribute('data-state'), 'live', 'back');
  });

  check(
    'a refused edit is told and can be dismissed',
    { steps: 'two' },
    async ({ page, id, until, steps }) => {
      await id('step-0').waitFor();
      await page.evaluate(() => (window.mock.options.refusing = 'the recipe is read-only'));
      await id('step-toggle-0').click();
      await page.getByText('the recipe is read-only').waitFor();
      equal((await steps()).length, 2);
      await id('notice').getByRole('button').click();
      await until(() => page.getByTestId('notice').count(), 0, 'dismissed');
    },
  );

  check('a restarting backend is one line', {}, async ({ page, id, until, sent }) => {
    await id('node-/patch_embed').waitFor();
    await page.evaluate(() => window.mock.send('backend', { state: 'restarting' }));
    await id('restarting').waitFor();
    const designs = (await sent('design')).length;
    await page.evaluate(() => window.mock.send('backend', { state: 'ready' }));
    await until(() => page.getByTestId('restarting').count(), 0, 'gone');
    holds((await sent('design')).length > designs, 'asked again');
  });

  check(
    'applying shows the steps and ends in done',
    { steps: 'two' },
    async ({ page, id, until, sent }) => {
      await id('apply').click();
      await page.locator('.phase-working', { hasText: 'INT8 static' }).waitFor();
      await id('node-/patch_embed').click();
      await id('node-panel').waitFor();
      await id('apply-done').waitFor({ timeout: 15_000 });
      await id('reveal-output').click();
      await until(() => sent('open'), [{ what: 'output' }], 'reveal');
    },
  );

  check('applying can be cancelled', { steps: 'two' }, async ({ page, id, until, sent }) => {
    await id('apply').click();
    await id('apply-cancel').click();
    await until(() => page.getByTestId('apply-panel').count(), 0, 'gone');
    equal((await sent('cancel')).length, 1);
    equal(await page.getByTestId('apply-failed').count(), 0);
  });

  check('the host tells which target is shown', {}, async ({ page, id, until }) => {
    await id('designer').waitFor();
    await page.evaluate(() => window.mock.send('target', { target: 'reram.isaac' }));
    await until(
      () => id('target-picker').textContent(),
      (text) => text.includes('ISAAC'),
      'target',
    );
  });

  check(
    'a report on made-up inputs says so before anything else',
    { view: 'report', steps: 'two', 'made-up': '1' },
    async ({ id, page }) => {
      await id('report-made-up').waitFor();
      const [first] = await page
        .locator('[data-testid="report"] > [data-testid]')
        .evaluateAll((parts) => parts.map((part) => part.dataset.testid));
      equal(first, 'report-made-up');
    },
  );

  check(
    'the report sorts, switches target, and leads to the text',
    { view: 'report', steps: 'two' },
    async ({ page, id, until, sent }) => {
      await id('skipped').waitFor();
      const first = () => page.locator('.layers tbody tr').first().locator('th').textContent();
      await id('sort-name').click();
      await until(first, '/blocks.0/add1', 'by name');
      await id('sort-macs').click();
      await until(first, (name) => name.includes('mlp'), 'by MACs');
      await id('sort-macs').click();
      equal(await page.locator('th[aria-sort]').getAttribute('aria-sort'), 'ascending');
      await id('report-target-mobile.pixel3-cpu').click();
      await until(
        () => page.locator('[data-testid="waterfall"] h2').textContent(),
        'From before to after on Pixel 3 CPU',
        'waterfall',
      );
      equal(await page.locator('.waterfall li').count(), 4);
      await id('all-layers').click();
      await until(() => page.locator('.layers tbody tr').count(), 148, 'all layers');
      await page.locator('.layers tbody .link').first().click();
      await until(() => sent('open').then(([open]) => open?.what), 'onnxText', 'text');
    },
  );
});
