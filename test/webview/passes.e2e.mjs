/** Adding passes: by pointer, by keyboard, from the menu. */
import { equal, holds, suite } from './checks.mjs';

const STACK = 'node-/blocks.0…/blocks.11';

await suite('passes', (check) => {
  check(
    'dragging a pass shows places, gain and ghost, and adds a step',
    {},
    async ({ page, id, drag, until, steps, sent, focused, said }) => {
      await id('library-pass-quantize.int8').waitFor();
      await drag('library-pass-quantize.int8', STACK, { drop: false });
      await id('drag-ghost').waitFor();
      await until(
        () => id('offer').textContent(),
        (text) => /^−\d+\s%\sif dropped here$/.test(text),
        'offer',
      );
      holds(
        await id(STACK).evaluate((node) => node.classList.contains('is-over')),
        'the stack lights up',
      );
      await until(
        () => id('node-/pos_embed').evaluate((node) => node.className),
        (name) => name.includes('is-refusing'),
        'pos_embed refuses',
      );
      equal(await id('node-/pos_embed').locator('.refusal').textContent(), 'Add holds no weights');
      await page.mouse.up();
      await until(steps, ['INT8 static'], 'steps');
      equal(await sent('edit'), [
        {
          kind: 'add',
          pass: 'quantize.int8',
          at: Array.from({ length: 12 }, (_, block) => `/blocks.${block}`),
        },
      ]);
      await until(focused, 'parameter-weights', 'focus on the first parameter');
      await until(
        said,
        (text) =>
          /^quantize\.int8 added to 12 blocks, latency on ZCU102 DPU [\d.]+ milliseconds to [\d.]+ milliseconds$/.test(
            text,
          ),
        'announcement',
      );
      equal(await page.locator('[data-testid="drag-ghost"]').count(), 0);
    },
  );

  check(
    'a pass dropped on one of several chosen nodes goes to all of them',
    {},
    async ({ page, id, drag, until, sent }) => {
      await id('node-/patch_embed').click();
      await page.keyboard.down('Control');
      await id(STACK).click();
      await page.keyboard.up('Control');
      await drag('library-pass-prune.channels', 'node-/patch_embed');
      await until(
        () => sent('edit'),
        (edits) => edits[0]?.at.length === 13,
        'all thirteen',
      );
    },
  );

  check('a pass does not land where it cannot work', {}, async ({ page, drag, sent, id }) => {
    await drag('library-pass-quantize.int8', 'node-/pos_embed', { drop: false });
    await page.waitForTimeout(300);
    equal(await id('offer').textContent(), 'Add holds no weights');
    await page.mouse.up();
    await page.waitForTimeout(200);
    equal(await sent('edit'), []);
  });

  check('nor on an input of the model', {}, async ({ page, drag, sent }) => {
    await drag('library-pass-quantize.int8', 'node-image');
    await page.waitForTimeout(200);
    equal(await sent('edit'), []);
  });

  check(
    'a pass dropped beside all nodes works wherever it can',
    {},
    async ({ page, id, centre, until, sent }) => {
      const start = await centre('library-pass-tokens.topk');
      const canvas = await id('canvas').boundingBox();
      await page.mouse.move(start.x, start.y);
      await page.mouse.down();
      await page.mouse.move(canvas.x + 120, canvas.y + 320, { steps: 8 });
      await page.mouse.up();
      await until(() => sent('edit'), [{ kind: 'add', pass: 'tokens.topk', at: [] }], 'edit');
    },
  );

  check('Escape lets go of a pass', {}, async ({ page, drag, sent }) => {
    await drag('library-pass-quantize.int8', STACK, { drop: false });
    await page.keyboard.press('Escape');
    await page.mouse.up();
    await page.waitForTimeout(150);
    equal(await sent('edit'), []);
    equal(await page.locator('[data-testid="drag-ghost"]').count(), 0);
  });

  check('touch drags too', {}, async ({ id, centre, until, steps }) => {
    const start = await centre('library-pass-quantize.int8');
    const end = await centre(STACK);
    await id('library-pass-quantize.int8').evaluate(
      (element, { start, end }) => {
        const fire = (type, { x, y }) =>
          element.dispatchEvent(
            new PointerEvent(type, {
              bubbles: true,
              pointerId: 7,
              pointerType: 'touch',
              button: 0,
              clientX: x,
              clientY: y,
            }),
          );
        element.setPointerCapture = () => undefined;
        fire('pointerdown', start);
        fire('pointermove', { x: start.x + 20, y: start.y });
        fire('pointermove', end);
        fire('pointerup', end);
      },
      { start, end },
    );
    await until(steps, ['INT8 static'], 'steps');
  });

  check(
    'p, a few letters and Enter add a pass to the selection',
    {},
    async ({ page, id, until, steps, sent, focused }) => {
      await id(STACK).click();
      await page.keyboard.press('p');
      await id('pass-picker').waitFor();
      await page.keyboard.type('magn');
      await until(
        () => page.locator('.quick-pick-gain').textContent(),
        (text) => text.includes('%') || text.includes('MACs'),
        'gain in the list',
      );
      await page.keyboard.press('Enter');
      await until(steps, ['Magnitude'], 'steps');
      equal((await sent('edit'))[0].at.length, 12);
      await until(focused, 'parameter-ratio-field', 'focus');
    },
  );

  check('Tab to the library and Enter add a pass', {}, async ({ page, id, until, steps }) => {
    await id('node-/patch_embed').click();
    await id('library-search').focus();
    for (let tabs = 0; tabs < 20; tabs++) {
      await page.keyboard.press('Tab');
      if (
        (await page.evaluate(() => document.activeElement?.dataset.testid)) ===
        'library-pass-prune.magnitude'
      )
        break;
    }
    await page.keyboard.press('Enter');
    await until(steps, ['Magnitude'], 'steps');
  });

  check('arrows walk the library', {}, async ({ page, id, focused }) => {
    await id('library-pass-quantize.int8').focus();
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowDown');
    equal(await focused(), 'library-pass-prune.magnitude');
  });

  check(
    'the context menu adds a pass with the keyboard',
    {},
    async ({ page, id, until, steps }) => {
      await id(STACK).click();
      await page.keyboard.press('Shift+F10');
      await id('node-menu').waitFor();
      await page.keyboard.press('ArrowRight');
      await page.keyboard.press('ArrowDown');
      await page.keyboard.press('Enter');
      await until(steps, ['Weights INT4'], 'steps');
      equal(await page.locator('[data-testid="node-menu"]').count(), 0);
    },
  );

  check(
    'the context menu opens blocks, goes to the text and closes with Escape',
    {},
    async ({ page, id, until, focused, sent }) => {
      await id(STACK).click({ button: 'right' });
      await id('menu-toggle').click();
      await id('node-/blocks.0').waitFor();
      await id('node-/patch_embed').click({ button: 'right' });
      await id('menu-onnx-text').click();
      await until(() => sent('open'), [{ what: 'onnxText', node: '/patch_embed' }], 'open');
      await page.keyboard.press('ContextMenu');
      await id('node-menu').waitFor();
      await page.keyboard.press('Escape');
      await until(focused, 'node-/patch_embed', 'focus comes back');
    },
  );

  check('the library can be searched and folded', {}, async ({ page, id, until }) => {
    await id('library-search').fill('hinton jacob');
    await until(() => page.locator('.pass').count(), 0, 'no pass');
    await id('library-search').fill('jacob');
    await until(() => page.locator('.pass').count(), 1, 'one pass');
    await id('library-search').press('Escape');
    await id('family-prune').click();
    await until(() => page.locator('.pass').count(), 5, 'folded family');
  });

  check(
    'in the viewer the first pass is an edit as well',
    { view: 'viewer' },
    async ({ drag, until, sent, id }) => {
      await drag('library-pass-quantize.int8', STACK);
      await until(() => sent('edit').then((edits) => edits.length), 1, 'edit');
      await id('start').click();
      await until(() => sent('open').then(([open]) => open?.what), 'designer', 'start compressing');
    },
  );
});
