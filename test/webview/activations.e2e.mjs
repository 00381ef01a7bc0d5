/** What goes in and out of a node on samples: asked for by key or button, cancelled, shown, and forgotten with its data. */
import { checkAccessibility } from './accessibility.mjs';
import { equal, holds, suite } from './checks.mjs';

const THEMES = ['dark', 'light-modern', 'hc-black', 'hc-light'];
const NODE = '/pos_embed';
const OPEN = { steps: 'two', open: '/blocks.3', select: NODE };

await suite('activations', (check) => {
  for (const theme of THEMES)
    check(`are legible and labelled in ${theme}`, { ...OPEN, theme }, async ({ id, page }) => {
      await id('activations-measure').click();
      await id('activations-found').waitFor();
      equal(await checkAccessibility(page), []);
    });

  check('a key measures, and it is said', OPEN, async ({ id, page, sent, said, until }) => {
    await id(`node-${NODE}`).focus();
    await page.keyboard.press('a');
    await id('activations-found').waitFor();
    const [asked] = await sent('activations');
    equal([asked.node, asked.open], [NODE, ['/blocks.3']]);
    await until(said, (words) => words.includes('measured on 64 samples'), 'it is said');
    const label = await id('channel-peaks').first().locator('svg').getAttribute('aria-label');
    holds(/channel 74 of 192 reaches 18\.4, 15\.2 × the median/.test(label), label);
    holds((await page.locator('.has-outlier').count()) === 2, 'the channel stands out');
    equal(await page.locator('.attention-map svg').count(), 1);
  });

  check('are cancelled, and kept until the samples change', OPEN, async ({ id, page, until }) => {
    await id('activations-measure').click();
    await id('activations-cancel').click();
    await id('activations-measure').waitFor();
    await id('activations-measure').click();
    await id('activations-found').waitFor();
    await id('step-select-0').click();
    await id(`node-${NODE}`).click();
    await id('activations-found').waitFor();
    await page.evaluate(() =>
      window.mock.receive({
        kind: 'request',
        id: -2,
        method: 'edit',
        params: { kind: 'data', use: 'calibration', dataset: './other.dataset.yaml' },
      }),
    );
    await until(() => id('activations-found').count(), 0, 'forgotten with its samples');
  });

  check('are not there in the viewer', { ...OPEN, view: 'viewer' }, async ({ id }) => {
    await id('node-panel').waitFor();
    equal(await id('activations-measure').count(), 0);
  });
});
