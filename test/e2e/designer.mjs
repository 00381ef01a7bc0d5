/** What a person does in the designer, on top of `workbench.mjs`. */
import assert from 'node:assert/strict';

const DESIGNER = '[data-testid="designer"]';

/** The designer in front, once its graph is drawn. */
export async function openedDesigner(workbench) {
  const frame = await workbench.webview(`${DESIGNER} [data-node]`);
  const id = (testId) => frame.getByTestId(testId);
  return {
    frame,
    id,
    steps: () => frame.locator('.step-title').allTextContents(),
    /** The cells of the row of a target, without their second lines: latency before and after, and so on. */
    totals: (target) =>
      id(`totals-${target}`)
        .locator('td')
        .evaluateAll((cells) =>
          cells.map((cell) =>
            [...cell.childNodes]
              .filter(({ nodeName }) => nodeName !== 'SMALL')
              .map(({ textContent }) => textContent)
              .join('')
              .replaceAll('\u00a0', ' ')
              .trim(),
          ),
        ),
    /** Drags a pass from the library onto the first node that matches. */
    async drag(pass, selector) {
      const { page } = workbench;
      const from = await centre(id(`library-pass-${pass}`));
      const to = await centre(frame.locator(selector).first());
      await page.mouse.move(from.x, from.y);
      await page.mouse.down();
      await page.mouse.move(from.x + 15, from.y + 10, { steps: 3 });
      await page.mouse.move(to.x, to.y, { steps: 8 });
      await page.mouse.move(to.x + 2, to.y + 1);
      await frame.locator('.node.is-over').first().waitFor();
      await page.mouse.up();
    },
    /** The first save gives a recipe its file: a new editor takes the place of this one, and what is asked here fails. */
    replaced: () => until('the editor of the saved file', () => frame.isDetached()),
    /** What has the keyboard: a test id, or a tag. */
    focused: () =>
      frame.evaluate(() => {
        const element = document.activeElement;
        return element?.dataset.testid ?? element?.tagName.toLowerCase() ?? '';
      }),
  };
}

async function centre(locator) {
  await locator.waitFor();
  const { x, y, width, height } = await locator.boundingBox();
  return { x: x + width / 2, y: y + height / 2 };
}

/** Asks until the answer is as wanted. */
export async function until(what, ask, withinMs = 120_000) {
  const end = Date.now() + withinMs;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    assert(Date.now() < end, `${what} did not happen within ${withinMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
