/** What can be checked of accessibility without a person: names, roles, ids, contrast, focus. */

/** Problems of the page as sentences; none is good. */
export function checkAccessibility(page) {
  return page.evaluate(() => {
    const problems = [];
    const visible = (element) =>
      element.checkVisibility({ opacityProperty: false, visibilityProperty: true });
    const name = (element) => {
      const labelled = element.getAttribute('aria-labelledby');
      const label = element.id
        ? document.querySelector(`label[for="${CSS.escape(element.id)}"]`)
        : null;
      return (
        element.getAttribute('aria-label') ??
        (labelled ? document.getElementById(labelled)?.textContent : null) ??
        label?.textContent ??
        element.closest('label')?.textContent ??
        (element.textContent.trim() || element.getAttribute('title') || '')
      ).trim();
    };
    const say = (element, what) => {
      const at = element.dataset?.testid ?? element.id ?? '';
      problems.push(
        `${what}: <${element.tagName.toLowerCase()} class="${element.getAttribute('class') ?? ''}" ${at}>`,
      );
    };

    const named =
      'button, input, select, [role="treeitem"], [role="tree"], [role="option"], [role="menuitem"], [role="meter"], [role="img"], [role="group"], vscode-button, vscode-progress-bar, section, aside';
    for (const element of document.querySelectorAll(named))
      if (visible(element) && !element.closest('[aria-hidden="true"]') && name(element) === '')
        say(element, 'no name');

    const ids = new Map();
    for (const element of document.querySelectorAll('[id]'))
      ids.set(element.id, (ids.get(element.id) ?? 0) + 1);
    for (const [id, count] of ids) if (count > 1) problems.push(`id ${id} is used ${count} times`);
    for (const element of document.querySelectorAll(
      '[aria-describedby], [aria-controls], [aria-activedescendant]',
    ))
      for (const attribute of ['aria-describedby', 'aria-activedescendant'])
        for (const id of (element.getAttribute(attribute) ?? '').split(' ').filter(Boolean))
          if (!document.getElementById(id)) say(element, `${attribute} leads to no ${id}`);

    const inside = {
      treeitem: '[role="tree"]',
      option: '[role="listbox"]',
      menuitem: '[role="menu"]',
    };
    for (const [role, parent] of Object.entries(inside))
      for (const element of document.querySelectorAll(`[role="${role}"]`))
        if (!element.closest(parent)) say(element, `${role} outside of ${parent}`);
    if (document.querySelectorAll('main').length !== 1) problems.push('there is not one main');
    if (document.querySelectorAll('h1').length !== 1) problems.push('there is not one h1');
    for (const element of document.querySelectorAll('[tabindex]'))
      if (element.tabIndex > 0) say(element, 'positive tabindex');
    const tree = document.querySelectorAll('[role="treeitem"][tabindex="0"]').length;
    if (document.querySelector('[role="tree"]') && tree > 1)
      problems.push(`${tree} nodes in the tab order`);

    problems.push(...contrast());
    return problems;

    /** Text below 4.5 : 1 against the colours painted behind it. */
    function contrast() {
      const canvas = document
        .createElement('canvas')
        .getContext('2d', { willReadFrequently: true });
      const rgba = (colour) => {
        canvas.clearRect(0, 0, 1, 1);
        canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1);
        const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
        return [r, g, b, a / 255];
      };
      const over = (top, under) =>
        [0, 1, 2].map((i) => top[i] * top[3] + under[i] * (1 - top[3])).concat(1);
      const light = ([r, g, b]) => {
        const [x, y, z] = [r, g, b].map((c) =>
          c / 255 <= 0.03928 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4,
        );
        return 0.2126 * x + 0.7152 * y + 0.0722 * z;
      };
      const behind = (element) => {
        const layers = [];
        for (let at = element; at; at = at.parentElement) {
          const colour = rgba(getComputedStyle(at).backgroundColor);
          if (colour[3] > 0) layers.push(colour);
          if (colour[3] === 1) break;
        }
        const page = rgba(getComputedStyle(document.documentElement).backgroundColor);
        return layers.reverse().reduce((under, top) => over(top, under), page);
      };
      const found = new Map();
      for (const element of document.querySelectorAll('body *')) {
        const own = [...element.childNodes].some(
          (node) => node.nodeType === 3 && node.textContent.trim(),
        );
        if (
          !own ||
          !visible(element) ||
          element.closest(
            '.hidden, svg, :disabled, [disabled], [aria-disabled="true"], .is-off, del',
          )
        )
          continue;
        const { color, opacity } = getComputedStyle(element);
        const ground = behind(element);
        const ink = over(rgba(color), ground);
        const [a, b] = [light(ink), light(ground)].sort((x, y) => y - x);
        const ratio = (a + 0.05) / (b + 0.05);
        const least = element.matches('.quiet, .quiet *, small, .mark, kbd, .card-share, .unknown')
          ? 3.5
          : 4.5;
        if (ratio < least && opacity === '1')
          found.set(
            `${element.className}`,
            `contrast ${ratio.toFixed(2)}: .${element.className || element.tagName} “${element.textContent.trim().slice(0, 24)}” ${color} on ${ground.slice(0, 3).map(Math.round)}`,
          );
      }
      return [...found.values()];
    }
  });
}
