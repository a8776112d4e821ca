// GraphiQL at `/` of a running server, as it is built into the program, in Debian's Chromium: a query, signing in by the
// headers editor, and a subscription.
// Promise: everything comes from the server itself, under its strict content security policy, without one complaint.
import { join } from 'node:path';

import { launch, listenForComplaints } from './chromium.mjs';
import { DOCUMENTS, act, check, newPerson, until, why } from './spacedly.mjs';

const [address, screenshots] = process.argv.slice(2);
if (!address || !URL.canParse(address)) {
  console.error('Usage: node graphiql.mjs SERVER [SCREENSHOTS]      (like http://127.0.0.1:8000)');
  process.exit(2);
}
const url = `${address}/graphql`;
const { origin } = new URL(address);
const LIVE = `subscription Live {
  notificationEvents {
    cursor
    kind
    unreadNotificationCount
    notification {
      title
    }
  }
}`;

/** What the page may do. A server that knows its PUBLIC_URL names its own sockets, for older Safaris. */
const policyWith = (connect) =>
  [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data:",
    "font-src 'self' data:",
    `connect-src ${connect}`,
    "worker-src 'self' blob:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
const POLICIES = ["'self'", `'self' ${origin.replace(/^http/, 'ws')}`].map(policyWith);

/** The editors of the page. Monaco shows blanks as no-break spaces. */
const editor = (page, place) => page.locator(`${place} .monaco-editor`).first();
const textOf = async (page, place) =>
  (await page.locator(`${place} .view-lines`).first().innerText()).replaceAll('\u00a0', ' ');
const HEADERS = '.graphiql-editor-tool .graphiql-editor:not(.hidden)';
const QUERY = '.graphiql-query-editor';
const ANSWER = '.graphiql-response';

/** Pastes, as people do with a token: what is typed Monaco completes with closing brackets. */
async function write(page, place, text) {
  const bare = (words) => words.replace(/\s/g, '');
  await page.evaluate((copied) => navigator.clipboard.writeText(copied), text);
  await editor(page, place).click();
  await page.keyboard.press('ControlOrMeta+A');
  await page.keyboard.press('ControlOrMeta+V');
  await until(`${text} in ${place}`, async () => bare(await textOf(page, place)) === bare(text));
}

const run = (page) => page.getByRole('button', { name: 'Execute query' }).click();
const answered = async (page, pattern) => pattern.test(await textOf(page, ANSWER));

/** Writes an operation. GraphiQL takes note of it a moment later, and names the tab after it then. */
async function writeOperation(page, name, text) {
  await write(page, QUERY, text);
  await page.getByRole('tab', { name }).waitFor();
}

async function opens(page) {
  const response = await page.goto(`${address}/`);
  const policy = response.headers()['content-security-policy'] ?? '';
  const strict = POLICIES.includes(policy);
  check('the page is the bundled one, under a policy that lets it speak to its own server alone', strict, policy);
  await editor(page, QUERY).waitFor();
  await page.getByText('Loading GraphiQL').waitFor({ state: 'detached' });
  const welcome = await textOf(page, QUERY);
  const explains = ['/dev/mailbox', 'sessionCreate', 'Headers', '"authorization": "Bearer'];
  const missing = explains.filter((word) => !welcome.includes(word));
  check('the editor explains how to sign in', missing.length === 0, missing);
  await run(page);
  const offered = await page.getByRole('menuitem').allInnerTexts();
  check('and offers the operations for it', ['Register', 'Verify', 'SignIn'].every((name) => offered.includes(name)), offered);
  await page.keyboard.press('Escape');
}

async function runs(page, person) {
  await writeOperation(page, 'Nobody', 'query Nobody { viewer { name } }');
  await run(page);
  await until('the answer to nobody', () => answered(page, /"viewer": null/));
  check('a query runs', true);
  await write(page, HEADERS, JSON.stringify({ authorization: `Bearer ${person.token}` }));
  await page.keyboard.press('Home');
  // The headers are taken note of a moment later too, and nothing shows it.
  const attempt = async () => {
    await run(page);
    return until('it', () => answered(page, new RegExp(`"name": "${person.name}"`)), 4_000).catch(() => false);
  };
  await until('the answer to somebody', attempt, 30_000);
  check('the token in the headers editor signs in', true);
}

async function follows(page, person) {
  let subscribed = false;
  page.on('websocket', (socket) => {
    socket.on('framesent', ({ payload }) => (subscribed ||= String(payload).includes('"subscribe"')));
  });
  await writeOperation(page, 'Live', LIVE);
  await run(page);
  await until('the subscription to be sent', () => subscribed);
  // The frame was sent, but the server may not have read it: what happens is told again until it was seen.
  let seen = '';
  const happen = async () => {
    const { task } = await act(url, DOCUMENTS.taskCreate, { title: 'Water the ferns' }, { token: person.token });
    await act(url, DOCUMENTS.taskComplete, { id: task.id }, { token: person.token });
    const shown = async () => /"title": "Task Completed"/.test((seen = await textOf(page, ANSWER)));
    return until('it on the page', shown, 4_000).catch(() => false);
  };
  await until('an event', happen, 30_000);
  const whole = /"kind": "ARRIVED"/.test(seen) && /"unreadNotificationCount": \d/.test(seen);
  check('a subscription shows its event as it arrives', whole, seen);
  if (screenshots) await page.screenshot({ path: join(screenshots, 'graphiql.png') });
  await page.getByRole('button', { name: 'Stop' }).click();
  await page.getByRole('button', { name: 'Execute query' }).waitFor();
  check('and can be stopped', true);
}

let browser;
try {
  const person = await newPerson(url);
  browser = await launch();
  const context = await browser.newContext({ viewport: { width: 1200, height: 750 } });
  context.setDefaultTimeout(15_000);
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  const complaints = await listenForComplaints(context);
  const page = await context.newPage();
  const asked = [];
  page.on('request', (request) => asked.push(request.url()));
  page.on('websocket', (socket) => asked.push(socket.url()));
  await opens(page);
  await runs(page, person);
  await follows(page, person);
  const isOurs = (asked_) => asked_.startsWith('data:') || new URL(asked_.replace(/^ws/, 'http')).origin === origin;
  const elsewhere = asked.filter((asked_) => !isOurs(asked_));
  check('from the first look to the last event nothing came from anywhere else', elsewhere.length === 0, elsewhere);
  check('the page had nothing to complain of', complaints.list.length === 0, complaints.list);
} catch (error) {
  check('it goes through to the end', false, why(error));
} finally {
  await browser?.close();
}
process.exit();
