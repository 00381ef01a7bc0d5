/**
 * `npm test`: everything that can be checked on this machine, after installing what is missing. `npm test -- unit e2e` runs
 * a part. The last line is the sum.
 */
import { findOrInstallChromium } from './lib/chromium.mjs';
import { end, endOnSignals } from './lib/processes.mjs';
import { installDependencies } from './lib/project.mjs';
import { BROWSER_SUITES, SUITES } from './lib/suites.mjs';

endOnSignals();

try {
  const names = chosen(process.argv.slice(2));
  await installDependencies();
  if (names.some((name) => BROWSER_SUITES.has(name))) setUpBrowser();
  const results = [];
  for (const name of names) {
    console.log(`\n── ${name}`);
    results.push({ name, ...(await SUITES[name]()) });
  }
  await end(summarise(results));
} catch (error) {
  console.error(error.message);
  await end(2);
}

/** In the order of the list, whatever the order asked for. */
function chosen(asked) {
  const known = Object.keys(SUITES);
  const unknown = asked.filter((name) => !known.includes(name));
  if (unknown.length === 0)
    return asked.length ? known.filter((name) => asked.includes(name)) : known;
  throw new Error(`There is no suite ${unknown.join(', ')}; there are ${known.join(', ')}.`);
}

/** The suites look for the browser here; without it they skip. */
function setUpBrowser() {
  const chromium = findOrInstallChromium();
  if (chromium) process.env.CHROMIUM = chromium;
}

/** Prints the sum and answers the exit code. */
function summarise(results) {
  console.log('\n── summary');
  for (const { name, passed, failed, skipped } of results) {
    console.log(`${name.padEnd(8)} ${passed} passed, ${failed} failed, ${skipped.length} skipped`);
  }
  for (const { name, skipped } of results) {
    for (const what of skipped) console.log(`skipped  ${name}: ${what}`);
  }
  const sum = (count) => results.reduce((total, result) => total + count(result), 0);
  const failed = sum((result) => result.failed);
  console.log(
    `${sum((result) => result.passed)} passed, ${failed} failed, ${sum((result) => result.skipped.length)} skipped`,
  );
  return failed ? 1 : 0;
}
