/** The recipe and its forms. */
import { checkAccessibility } from './accessibility.mjs';
import { equal, holds, suite } from './checks.mjs';

const TITLES = ['Top-k by class attention', 'INT8 static'];

await suite('recipe', (check) => {
  check(
    'a slider previews while it moves and writes once when it is let go',
    { steps: 'sparse', model: 'resnet' },
    async ({ page, id, until, sent }) => {
      await id('step-select-0').click();
      const box = await id('parameter-ratio').boundingBox();
      const before = (await sent('design')).length;
      await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
      await page.mouse.down();
      for (let at = 0.5; at <= 0.8; at += 0.02)
        await page.mouse.move(box.x + box.width * at, box.y + box.height / 2);
      const drafts = (await sent('design')).slice(before).filter((design) => design.draft);
      holds(drafts.length >= 2, `previews while moving, got ${drafts.length}`);
      equal(await sent('edit'), [], 'nothing written yet');
      await page.mouse.up();
      await until(() => sent('edit').then((edits) => edits.length), 1, 'one edit');
      const [edit] = await sent('edit');
      holds(
        edit.kind === 'set' && edit.parameter === 'ratio' && edit.value > 0.7 && edit.value < 0.9,
        JSON.stringify(edit),
      );
      await until(
        () => id('parameter-ratio-field').inputValue(),
        String(Math.round(edit.value * 100)),
        'field',
      );
    },
  );

  check('the totals follow a draft', { steps: 'two' }, async ({ page, id, until }) => {
    await id('step-select-0').click();
    const latency = () =>
      id('totals-fpga.zcu102-dpu').locator('.amount-after').first().textContent();
    const before = await latency();
    const box = await id('parameter-keep-0').boundingBox();
    await page.mouse.move(box.x + box.width * 0.7, box.y + 9);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.2, box.y + 9, { steps: 6 });
    await until(latency, (now) => now !== before, 'latency moves');
    await page.mouse.up();
  });

  check(
    'arrow keys step a slider, one edit for a burst',
    { steps: 'sparse', model: 'resnet' },
    async ({ page, id, until, sent }) => {
      await id('step-select-0').click();
      await id('parameter-ratio').focus();
      await page.keyboard.down('ArrowRight');
      await page.keyboard.down('ArrowRight');
      await page.keyboard.down('ArrowRight');
      await page.keyboard.up('ArrowRight');
      await until(
        () => sent('edit'),
        [{ kind: 'set', step: 0, parameter: 'ratio', value: 0.53 }],
        'edit',
      );
    },
  );

  check(
    'a field commits on Enter, refuses nonsense, and Escape takes back',
    { steps: 'sparse', model: 'resnet' },
    async ({ page, id, until, sent }) => {
      await id('step-select-0').click();
      await id('parameter-ratio-field').fill('75');
      await page.keyboard.press('Enter');
      await until(() => sent('edit').then((edits) => edits.at(-1)?.value), 0.75, 'edit');
      await id('parameter-ratio-field').fill('a lot');
      await page.keyboard.press('Enter');
      await page.getByText('A number from 0 to 100').waitFor();
      await id('parameter-ratio-field').fill('10');
      await page.keyboard.press('Escape');
      equal(await id('parameter-ratio-field').inputValue(), '75');
      equal((await sent('edit')).length, 1);
    },
  );

  check(
    'a field keeps its own undo, and gives undo away when nothing is typed',
    { steps: 'sparse', model: 'resnet' },
    async ({ page, id, until, sent }) => {
      await id('step-select-0').click();
      await id('parameter-ratio-field').click();
      await page.keyboard.type('1');
      await page.keyboard.press('Control+z');
      equal(await id('parameter-ratio-field').inputValue(), '50');
      equal(await sent('undo'), []);
      await id('parameter-ratio-field').fill('60');
      await page.keyboard.press('Enter');
      await until(() => sent('edit').then((edits) => edits.length), 1, 'edit');
      await page.keyboard.press('Control+z');
      await until(() => sent('undo').then((undos) => undos.length), 1, 'document undo');
      await until(() => id('parameter-ratio-field').inputValue(), '50', 'value of before');
    },
  );

  check(
    'choices, switches, lists and targets make edits',
    { steps: 'two' },
    async ({ page, id, until, sent }) => {
      await id('step-select-1').click();
      await id('parameter-weights').selectOption('per-tensor');
      await until(
        () => sent('edit').then((edits) => edits.at(-1)),
        { kind: 'set', step: 1, parameter: 'weights', value: 'per-tensor' },
        'choice',
      );
      await id('parameter-symmetric').click();
      await until(() => sent('edit').then((edits) => edits.at(-1)?.value), true, 'switch');
      await id('step-select-0').click();
      await id('parameter-keep-remove-1').click();
      await until(
        () => sent('edit').then((edits) => edits.at(-1)?.value),
        [0.7, 0.343],
        'one entry less',
      );
      await id('parameter-keep-add').click();
      await until(
        () => sent('edit').then((edits) => edits.at(-1)?.value),
        [0.7, 0.343, 0.343],
        'one entry more',
      );
      await id('node-/patch_embed').click();
      await page.keyboard.press('p');
      await page.keyboard.type('assign');
      await page.keyboard.press('Enter');
      await until(
        () => page.locator('.step-error').count(),
        1,
        'error in place while the target is missing',
      );
      await id('parameter-target').selectOption('reram.isaac');
      await until(() => page.locator('.step-error').count(), 0, 'error gone');
    },
  );

  check('one value becomes one per stage', { steps: 'two' }, async ({ page, id, until, sent }) => {
    await id('step-select-0').click();
    await id('parameter-keep-remove-2').click();
    await id('parameter-keep-remove-1').click();
    await until(() => sent('edit').then((edits) => edits.at(-1)?.value), 0.7, 'a single number');
    await id('parameter-keep').waitFor();
    await id('parameter-keep-add').click();
    await until(() => sent('edit').then((edits) => edits.at(-1)?.value), [0.7, 0.7], 'a list');
    await page.waitForTimeout(50);
  });

  check(
    'steps reorder by pointer',
    { steps: 'two' },
    async ({ page, id, centre, until, steps, sent }) => {
      await id('step-0').waitFor();
      const from = await centre('step-0');
      const to = await centre('step-1');
      await page.mouse.move(from.x, from.y);
      await page.mouse.down();
      await page.mouse.move(to.x, to.y + 30, { steps: 8 });
      await page.mouse.up();
      await until(steps, [...TITLES].reverse(), 'order');
      equal(await sent('edit'), [{ kind: 'move', step: 0, to: 1 }]);
    },
  );

  check(
    'steps reorder, switch off and go by keyboard',
    { steps: 'two' },
    async ({ page, id, until, steps, focused, sent }) => {
      await id('step-select-1').focus();
      await page.keyboard.press('Alt+ArrowUp');
      await until(steps, [...TITLES].reverse(), 'order');
      await until(focused, 'step-select-0', 'focus goes with the step');
      await page.keyboard.press(' ');
      await until(() => id('step-toggle-0').isChecked(), false, 'off');
      await page.keyboard.press('ArrowDown');
      await until(focused, 'step-select-1', 'next step');
      await page.keyboard.press('Delete');
      await until(steps, ['INT8 static'], 'removed');
      await until(focused, 'step-select-0', 'focus on what is left');
      equal(
        (await sent('edit')).map(({ kind }) => kind),
        ['move', 'enable', 'remove'],
      );
      await id('undo').click();
      await until(() => steps().then((all) => all.length), 2, 'undone');
      await id('redo').click();
      await until(() => steps().then((all) => all.length), 1, 'redone');
    },
  );

  check(
    'checkbox and trash work with the mouse',
    { steps: 'two' },
    async ({ id, until, steps, page }) => {
      await id('step-toggle-0').click();
      await until(() => page.locator('.step.is-off').count(), 1, 'off');
      await id('step-0').hover();
      await id('step-remove-0').click();
      await until(steps, ['INT8 static'], 'steps');
    },
  );

  check('errors are shown in place', { steps: 'broken', model: 'resnet' }, async ({ page, id }) => {
    await page.locator('.step-error', { hasText: 'nothing matches /nowhere.*' }).waitFor();
    equal(await id('step-1').evaluate((row) => row.classList.contains('is-failing')), true);
  });

  check('a step moves to the selection', { steps: 'two' }, async ({ id, until, sent }) => {
    await id('node-/patch_embed').click();
    await id('step-select-1').click();
    await id('retarget').click();
    await until(() => sent('edit'), [{ kind: 'retarget', step: 1, at: ['/patch_embed'] }], 'edit');
  });

  check(
    'host actions work on the chosen step',
    { steps: 'two' },
    async ({ page, id, until, steps }) => {
      await id('step-select-0').click();
      const action = (name) =>
        page.evaluate((wanted) => window.mock.send('action', { action: wanted }), name);
      await action('moveStepDown');
      await until(steps, [...TITLES].reverse(), 'order');
      await action('toggleStep');
      await until(() => id('step-toggle-1').isChecked(), false, 'off');
      await action('removeStep');
      await until(steps, ['INT8 static'], 'steps');
    },
  );

  check(
    'a step that needs samples leads to them',
    { steps: 'two' },
    async ({ page, id, until }) => {
      await id('data-need').waitFor();
      await id('data-choose').click();
      await until(() => page.getByTestId('data-need').count(), 0, 'satisfied');
      await until(
        () => page.locator('.data-row dd').allTextContents(),
        ['shapes', 'none'],
        'what the recipe names',
      );
    },
  );

  for (const theme of ['dark', 'light-modern', 'hc-black'])
    check(
      `a chip on a layer chooses its bits, in ${theme}`,
      { steps: 'int4', theme },
      async ({ page, id, until, sent }) => {
        const layer = '/patch_embed';
        const totals = () => id('totals-fpga.zcu102-dpu').locator('td').first().textContent();
        const before = await totals();
        await id(`bits-${layer}`).click();
        const items = () => id('bits-menu').getByRole('menuitem').allTextContents();
        equal(await items(), ['2 bits', '4 bits✓', '8 bits', 'Not rounded'], 'choices');
        equal(await checkAccessibility(page), []);
        await id('menu-bits-8').click();
        const edit = { kind: 'bits', step: 0, nodes: [layer], bits: 8 };
        await until(() => sent('edit'), [edit], 'edit');
        await until(totals, (now) => now !== before, 'new totals');
        await page.keyboard.press('Control+z');
        await until(totals, before, 'undone');

        await id(`node-${layer}`).click();
        await page.keyboard.press('b');
        await id('bits-menu').waitFor();
        await page.keyboard.press('End');
        await page.keyboard.press('Enter');
        await until(
          () => sent('edit').then((all) => all.at(-1)),
          { ...edit, bits: null },
          'left out by keyboard',
        );
        await until(() => id(`bits-${layer}`).textContent(), 'float', 'the chip says so');
      },
    );

  check('what holds no weights has no bits', { steps: 'int4' }, async ({ page, id }) => {
    await id('node-/pos_embed').click();
    await page.keyboard.press('b');
    await page.getByText('has no bits to choose').waitFor();
    equal(await page.getByTestId('bits-menu').count(), 0);
  });
});
