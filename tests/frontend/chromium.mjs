// Debian's Chromium for the scripts that need a real browser.
// Promise: it asks for nothing outside this machine, and whatever a page complains of is kept.
import { existsSync } from 'node:fs';

import { chromium } from 'playwright-core';

const PATH = '/usr/bin/chromium';

export async function launch() {
  if (!existsSync(PATH)) throw new Error(`${PATH} is not installed: apt-get install chromium (tests/run does it)`);
  const args = ['--no-sandbox', '--headless', '--disable-gpu', '--disable-background-networking', '--no-first-run'];
  return chromium.launch({ executablePath: PATH, args });
}

/** Whether a persisted query was asked for by its hash: the server may not know it yet. */
function isHashAlone(request) {
  const body = request.method() === 'POST' ? request.postDataJSON() : undefined;
  return Boolean(body?.extensions?.persistedQuery) && !('query' in body);
}

/** Keeps what the pages of a context complain of: errors, and what their content security policy forbade. */
export async function listenForComplaints(context) {
  const list = [];
  let broken = false;
  const isBroken = (text) => /net::ERR_|WebSocket connection to/.test(text);
  await context.exposeFunction('complain', (what) => list.push(what));
  await context.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI, sourceFile, lineNumber }) =>
      globalThis.complain(`the policy forbids ${violatedDirective} of ${blockedURI} in ${sourceFile}:${lineNumber}`),
    );
  });
  context.on('weberror', (error) => list.push(`uncaught: ${error.error()?.message ?? error.error()}`));
  context.on('console', (message) => {
    const text = message.text();
    // Refusals are looked at below, where it is known what was asked.
    if (message.type() !== 'error' || /responded with a status of/.test(text) || (broken && isBroken(text))) return;
    list.push(`${text} (${message.location().url})`);
  });
  context.on('response', (response) => {
    if (response.status() >= 400 && !isHashAlone(response.request())) {
      list.push(`${response.status()} for ${response.request().postData() ?? response.url()}`);
    }
  });
  return {
    list,
    /** Whether connections are broken on purpose now: then it is no complaint that they are. */
    expectBrokenConnections: (expected) => (broken = expected),
  };
}
