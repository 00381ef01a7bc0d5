import { chromium } from 'playwright-core';
import { findChromium } from './chromium.mjs';

/** A headless Chromium that talks to nobody but the pages it is given. */
export function launchBrowser() {
  const executablePath = findChromium();
  if (!executablePath) throw new Error('No Chromium was found: set CHROMIUM to where it is.');
  return chromium.launch({
    executablePath,
    args: [
      '--no-sandbox', // it runs as root in containers
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}
