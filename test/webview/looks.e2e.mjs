/** Themes, sizes, accessibility and speed. */
import { checkAccessibility } from './accessibility.mjs';
import { equal, holds, suite } from './checks.mjs';

const THEMES = ['dark', 'dark-modern', 'light', 'light-modern', 'hc-black', 'hc-light'];
const NODE = '/blocks.3/mlp/fc1';

await suite('looks', (check) => {
  for (const theme of THEMES) {
    const query = { theme, steps: 'two', open: '/blocks.3,/blocks.3/mlp', select: NODE };
    check(`the designer in ${theme} is legible and labelled`, query, async ({ page, id }) => {
      await id('why-fpga.zcu102-dpu').waitFor();
      await page.waitForTimeout(250);
      equal(await checkAccessibility(page), []);
    });
    check(
      `a step in ${theme} is legible and labelled`,
      { theme, steps: 'two' },
      async ({ page, id }) => {
        await id('step-select-0').click();
        await id('parameter-keep-0').waitFor();
        await page.waitForTimeout(250);
        equal(await checkAccessibility(page), []);
      },
    );
    check(
      `the report in ${theme} is legible and labelled`,
      { theme, steps: 'two', view: 'report' },
      async ({ page, id }) => {
        await id('layers').waitFor();
        equal(await checkAccessibility(page), []);
      },
    );
    check(
      `far away in ${theme} names stand out from their colours`,
      { theme, model: 'resnet', steps: 'sparse' },
      async ({ page, fit }) => {
        await fit();
        equal(await page.locator('.canvas').getAttribute('data-detail'), 'far');
        equal(await checkAccessibility(page), []);
      },
    );
  }

  check('pickers, menus and results are labelled', { steps: 'two' }, async ({ page, id }) => {
    await id('node-/patch_embed').click();
    await page.keyboard.press('p');
    await id('pass-picker').waitFor();
    equal(await checkAccessibility(page), []);
    await page.keyboard.press('Escape');
    await id('node-/patch_embed').click({ button: 'right' });
    await id('menu-add-pass').hover();
    await id('menu-quantize.int8').waitFor();
    equal(await checkAccessibility(page), []);
  });

  check(
    'below 900 px the inspector is under the canvas',
    { steps: 'two' },
    async ({ page, id }) => {
      await id('model-panel').waitFor();
      const canvas = await id('canvas').boundingBox();
      const panel = await page.locator('.inspector').boundingBox();
      holds(panel.y >= canvas.y + canvas.height - 1 && panel.x === canvas.x, 'under it');
      equal(
        await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth),
        true,
        'nothing sticks out',
      );
    },
    { width: 820, height: 900 },
  );

  for (const width of [600, 900, 1100, 1920])
    check(
      `nothing in the header is cut at ${width} px`,
      { steps: 'two' },
      async ({ id }) => {
        await id('apply').waitFor();
        const { x, width: wide } = await id('apply').boundingBox();
        holds(x + wide <= width, 'Apply is on the page');
      },
      { width, height: 800 },
    );

  check('with reduced motion nothing glides', { steps: 'two' }, async ({ page, id }) => {
    await page.emulateMedia({ reducedMotion: 'reduce' });
    await id('node-/patch_embed').waitFor();
    const moving = await page.evaluate(
      () =>
        document
          .getAnimations()
          .filter((one) => (one.effect?.getComputedTiming().duration ?? 0) > 1).length,
    );
    equal(moving, 0);
  });

  check(
    'panning three hundred nodes moves the whole and draws none of them anew',
    { blocks: '48', open: openBlocks(48) },
    async ({ page, id, fit }) => {
      await id('node-/patch_embed').waitFor();
      await fit();
      const nodes = await page.locator('.node').count();
      holds(nodes >= 300, `only ${nodes} nodes`);
      const canvas = await id('canvas').boundingBox();
      await page.mouse.move(canvas.x + 80, canvas.y + 300);
      await page.evaluate(() => {
        window.redrawn = new Set();
        new MutationObserver((changes) => {
          for (const { target } of changes) {
            const node = (target.parentElement ?? target).closest('.react-flow__node');
            if (node) window.redrawn.add(node.dataset.id);
          }
        }).observe(document.querySelector('.react-flow__nodes'), {
          subtree: true,
          childList: true,
          attributes: true,
          characterData: true,
        });
      });
      await page.mouse.down();
      for (let step = 0; step < 20; step++)
        await page.mouse.move(canvas.x + 80 + step * 3, canvas.y + 300 + step * 2);
      await page.mouse.up();
      await page.waitForTimeout(200);
      equal(await page.evaluate(() => [...window.redrawn]), []);
    },
  );
});

function openBlocks(count) {
  const blocks = Array.from({ length: count }, (_, block) => `/blocks.${block}`);
  return [`/blocks.0…/blocks.${count - 1}`, ...blocks].join(',');
}
