/** Looking at the graph. */
import { equal, holds, suite } from './checks.mjs';

const STACK = 'node-/blocks.0…/blocks.11';
const zoomOf = (page) =>
  page
    .locator('.react-flow__viewport')
    .evaluate((element) => new DOMMatrix(getComputedStyle(element).transform).a);

await suite('canvas', (check) => {
  check('a double-click opens a block and leaves it where it is', {}, async ({ page, id }) => {
    await id(STACK).waitFor();
    const before = await id(STACK).boundingBox();
    await id(STACK).dblclick();
    await id('node-/blocks.0').waitFor();
    const after = await id(STACK).boundingBox();
    const middle = ({ x, width }) => x + width / 2;
    holds(
      Math.abs(middle(before) - middle(after)) < 1.5 && Math.abs(before.y - after.y) < 1.5,
      `moved: ${JSON.stringify([before, after])}`,
    );
    equal(await id(STACK).getAttribute('aria-expanded'), 'true');
    await page.waitForTimeout(50);
  });

  check('the chevron opens and closes', {}, async ({ page, id, until }) => {
    await id('toggle-/blocks.0…/blocks.11').click();
    await id('node-/blocks.0').waitFor();
    await id('toggle-/blocks.0…/blocks.11').click();
    await until(() => page.getByTestId('node-/blocks.0').count(), 0, 'closed');
  });

  check(
    'Enter opens and enters, arrows walk, Escape goes up and closes',
    {},
    async ({ page, id, until, focused }) => {
      await id('node-/pos_embed').click();
      await page.keyboard.press('ArrowDown');
      await until(focused, STACK, 'down the edge');
      await page.keyboard.press('Enter');
      await id('node-/blocks.0').waitFor();
      await page.keyboard.press('Enter');
      await until(focused, 'node-/blocks.0', 'into the block');
      await page.keyboard.press('ArrowDown');
      await until(focused, 'node-/blocks.1', 'next block');
      await page.keyboard.press('ArrowUp');
      await page.keyboard.press('Escape');
      await until(focused, STACK, 'up to the stack');
      await page.keyboard.press('Escape');
      await until(() => page.getByTestId('node-/blocks.0').count(), 0, 'closed');
      await until(focused, STACK, 'focus stays');
    },
  );

  check(
    'arrows bring what they reach into view',
    { open: '/blocks.0…/blocks.11' },
    async ({ page, id, until, focused }) => {
      await id('node-/blocks.0').click();
      for (let block = 1; block <= 11; block++) {
        await page.keyboard.press('ArrowDown');
        await until(focused, `node-/blocks.${block}`, `block ${block}`);
      }
      const canvas = await id('canvas').boundingBox();
      const inView = async () => {
        const { y, height } = await id('node-/blocks.11').boundingBox();
        return y >= canvas.y && y + height <= canvas.y + canvas.height;
      };
      await until(inView, true, 'in view');
    },
  );

  check(
    'clicks choose, with Shift and Ctrl more, on the canvas none',
    {},
    async ({ page, id, until }) => {
      const chosen = () => page.locator('.node.is-selected').count();
      await id('node-/patch_embed').click();
      await id('node-/pos_embed').click({ modifiers: ['Shift'] });
      await id(STACK).click({ modifiers: ['Control'] });
      await until(chosen, 3, 'three');
      await id('many-panel').waitFor();
      await id('node-/pos_embed').click({ modifiers: ['Control'] });
      await until(chosen, 2, 'two');
      await page.mouse.click(300, 500);
      await until(chosen, 0, 'none');
      await id('model-panel').waitFor();
    },
  );

  check(
    'find marks, lists and reveals what is in closed blocks',
    {},
    async ({ page, id, until }) => {
      await id(STACK).waitFor();
      await page.keyboard.press('/');
      await page.keyboard.type('op:MatMul name:fc1 macs>1M');
      await until(() => page.locator('[data-testid^="found-"]').count(), 12, 'matches');
      await until(
        () => page.locator('.node.is-found').count(),
        1,
        'the stack around them is marked',
      );
      await page.keyboard.press('ArrowDown');
      await page.keyboard.press('Enter');
      await id('node-/blocks.1/mlp/fc1').waitFor();
      await until(
        () =>
          id('node-/blocks.1/mlp/fc1').evaluate((node) => node.classList.contains('is-selected')),
        true,
        'chosen',
      );
      await page.keyboard.press('Escape');
      await until(() => page.locator('.node.is-found').count(), 0, 'marks are gone');
    },
  );

  check('what find does not understand it says', {}, async ({ page, id, until }) => {
    await id(STACK).waitFor();
    await page.keyboard.press('/');
    await page.keyboard.type('macs>lots');
    await until(
      () => page.locator('.find-note').textContent(),
      (text) => text.includes('Not understood: macs>lots'),
      'note',
    );
  });

  check(
    'h, t, w, f do what they say, and not while typing',
    {},
    async ({ page, id, until, focused }) => {
      await id('node-/patch_embed').click();
      await page.keyboard.press('t');
      await id('target-list').waitFor();
      await page.keyboard.type('pixel');
      await page.keyboard.press('Enter');
      await until(
        () => id('target-picker').textContent(),
        (text) => text.includes('Pixel 3 CPU'),
        'target',
      );
      await page.keyboard.press('h');
      await page.keyboard.type('macs');
      await page.keyboard.press('Enter');
      await until(
        () => id('metric-picker').textContent(),
        (text) => text.includes('MACs'),
        'metric',
      );
      await until(
        () => id('node-/patch_embed').textContent(),
        (text) => text.includes('28.9'),
        'cost of the node',
      );
      await page.keyboard.press('w');
      await until(focused, 'section-why', 'why');
      await id('library-search').click();
      await page.keyboard.type('thf');
      equal(await page.locator('.quick-pick').count(), 0);
    },
  );

  check('totals switch the target', {}, async ({ id, until, sent }) => {
    await id('totals-mobile.pixel3-cpu').click();
    await until(() => sent('setTarget'), [{ target: 'mobile.pixel3-cpu' }], 'target told');
    await until(() => id('totals-mobile.pixel3-cpu').getAttribute('class'), 'is-shown', 'row');
  });

  check('targets join and leave the comparison', {}, async ({ page, id, until, sent }) => {
    await id('add-target').click();
    await page.keyboard.type('systolic');
    await page.keyboard.press('Enter');
    await id('totals-asic.systolic-32x32-ws').waitFor();
    await id('totals-asic.systolic-32x32-ws').hover();
    await id('totals-remove-asic.systolic-32x32-ws').click();
    await until(
      () => sent('edit').then((edits) => edits.at(-1).targets.length),
      3,
      'back to three',
    );
  });

  check(
    'text never gets smaller than ten pixels',
    { open: '/blocks.0…/blocks.11,/blocks.3', steps: 'two' },
    async ({ page, id }) => {
      await id('node-/patch_embed').waitFor();
      const seen = new Set();
      for (let step = 0; step < 9; step++) {
        const { least, detail, where } = await page.evaluate(() => {
          const { a: zoom } = new DOMMatrix(
            getComputedStyle(document.querySelector('.react-flow__viewport')).transform,
          );
          let least = Infinity;
          let where = '';
          for (const element of document.querySelectorAll('.react-flow__viewport *')) {
            const own = [...element.childNodes].some(
              (node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim(),
            );
            const size = parseFloat(getComputedStyle(element).fontSize) * zoom;
            if (own && element.checkVisibility() && !element.closest('.hidden') && size < least) {
              least = size;
              where = element.className;
            }
          }
          return {
            least,
            where: String(where?.baseVal ?? where),
            detail: document.querySelector('.canvas').dataset.detail,
          };
        });
        seen.add(detail);
        holds(least >= 9.99, `${detail}: ${least} px in ${where}`);
        await id('zoom-out').click();
        await page.waitForTimeout(220);
      }
      equal([...seen], ['near', 'middle', 'far']);
    },
  );

  check(
    'the view is remembered and recalled',
    { open: '/blocks.0…/blocks.11', select: '/blocks.2', folded: 'library' },
    async ({ page, id, until, sent }) => {
      await until(
        () => id('node-/blocks.2').evaluate((node) => node.classList.contains('is-selected')),
        true,
        'selection',
      );
      equal(await page.locator('.pass').count(), 0, 'folded library');
      await id('zoom-in').click();
      await id('fold-library').click();
      await until(() => sent('remember').then((all) => all.at(-1)?.folded), [], 'folded');
      const memory = (await sent('remember')).at(-1);
      holds(memory.viewport.zoom > 1, 'viewport');
      equal(memory.selected, ['/blocks.2']);
    },
  );

  check(
    'a changed design keeps the canvas mounted and the view still',
    { steps: 'two' },
    async ({ page, id, until }) => {
      await id('node-/patch_embed').waitFor();
      await page.mouse.move(600, 400);
      await page.mouse.wheel(0, 300);
      await standsStill(page, id('node-/patch_embed'));
      await page.evaluate(() => (document.querySelector('.react-flow').dataset.mark = 'same'));
      const before = await placeInCanvas(page, id('node-/patch_embed'));
      await id('step-toggle-1').click();
      await until(() => page.locator('.step.is-off').count(), 1, 'off');
      const after = await placeInCanvas(page, id('node-/patch_embed'));
      equal(await page.locator('.react-flow').getAttribute('data-mark'), 'same');
      holds(Math.abs(before - after) < 1.5, `moved ${before} to ${after}`);
    },
  );

  check('panes fold away and come back', {}, async ({ id, until, page }) => {
    for (const [pane, region] of [
      ['left', '.left'],
      ['inspector', '.inspector'],
      ['totals', '.totals'],
    ]) {
      await id(`pane-${pane}`).click();
      await until(() => page.locator(region).count(), 0, `${pane} folded`);
      await id(`pane-${pane}`).click();
      await until(() => page.locator(region).count(), 1, `${pane} back`);
    }
  });

  check('the wheel pans, with Ctrl it zooms', {}, async ({ page, id }) => {
    await id('node-/patch_embed').waitFor();
    const zoom = await zoomOf(page);
    await page.mouse.move(600, 400);
    await page.mouse.wheel(0, 200);
    await page.waitForTimeout(100);
    equal(await zoomOf(page), zoom);
    await page.keyboard.down('Control');
    await page.mouse.wheel(0, -200);
    await page.keyboard.up('Control');
    await page.waitForTimeout(150);
    holds((await zoomOf(page)) > zoom, 'zoomed in');
  });

  check(
    'the inspector explains a node and reads its weights when asked',
    { open: '/blocks.3,/blocks.3/mlp', steps: 'two' },
    async ({ page, id, until, sent }) => {
      await id('fit').click();
      await id('node-/blocks.3/mlp/fc1').click();
      await id('why-fpga.zcu102-dpu').waitFor();
      equal(await sent('tensor'), []);
      await id('statistics-/blocks.3/mlp/fc1.weight').click();
      await id('histogram-/blocks.3/mlp/fc1.weight').waitFor();
      await id('link-/blocks.3/norm2').click();
      await until(
        () => page.locator('[data-testid="node-panel"] h2').textContent(),
        'norm2',
        'linked node',
      );
      await id('go-to-text').click();
      await until(() => sent('open'), [{ what: 'onnxText', node: '/blocks.3/norm2' }], 'text');
    },
  );
});

/** How far below the top of the canvas a node is; banners above the canvas come and go. */
async function placeInCanvas(page, node) {
  const canvas = await page.locator('.react-flow').boundingBox();
  return (await node.boundingBox()).y - canvas.y;
}

/** Waits until a gesture has come to rest. */
async function standsStill(page, node) {
  for (let last; ;) {
    const { y } = await node.boundingBox();
    if (y === last) return;
    last = y;
    await page.waitForTimeout(200);
  }
}
