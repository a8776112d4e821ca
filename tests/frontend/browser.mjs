// The example app (app/, built before: npm run build) in Debian's Chromium against a running server: signing in, paging,
// and the live badge through cut connections, in two tabs, and across the ends of access tokens.
// Promise: what is waited for is a state, never a time; a complaint of the page (an error, or something that its content
// security policy forbade) fails the script, and so does a badge that ever counts backwards or past the query.
//
// The server lets http://127.0.0.1:<page port> in (ALLOWED_ORIGINS), and its access tokens live for some seconds.
import { createReadStream, existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';

import axe from 'axe-core';
import { request } from 'playwright-core';

import { launch, listenForComplaints } from './chromium.mjs';
import { TcpProxy } from './proxy.mjs';
import { check, newPerson, until, why } from './spacedly.mjs';

const [address, pagePort, screenshots] = process.argv.slice(2);
if (!address || !URL.canParse(address) || !/^\d+$/.test(pagePort ?? '')) {
  console.error('Usage: node browser.mjs SERVER PAGE-PORT [SCREENSHOTS]      (like http://127.0.0.1:8000 8080)');
  process.exit(2);
}
const url = `${address}/graphql`;
const DIST = new URL('app/dist/', import.meta.url).pathname;
const PAGE = 10;
const TITLES = ['Water the ferns', 'Write the report', 'Call grandmother', 'Book the train to Vienna'];

/** Serves the built app, with the address of the API in the page's own place for it, under a strict policy. */
async function servePage(port, api) {
  if (!existsSync(join(DIST, 'index.html'))) throw new Error('the app is not built: npm run build');
  const page = await readFile(join(DIST, 'index.html'), 'utf8');
  const html = page.replace(/(<meta name="api" content=")[^"]*/, `$1${api}/graphql`);
  const policy = [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    `connect-src ${api} ${api.replace('http', 'ws')}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
  ];
  const types = { '.js': 'text/javascript', '.css': 'text/css' };
  const server = createServer((req, res) => {
    const path = normalize(new URL(req.url, 'http://page').pathname);
    const type = types[extname(path)];
    if (!type) {
      res.writeHead(200, { 'content-type': 'text/html', 'content-security-policy': policy.join('; ') }).end(html);
    } else {
      res.writeHead(200, { 'content-type': type });
      createReadStream(join(DIST, path))
        .on('error', () => res.destroy())
        .pipe(res);
    }
  });
  await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
  return server;
}

/** The same person on another device, without the page: asks the server itself, by cookies. */
async function otherDevice(person) {
  const device = await request.newContext();
  const ask = async (query, variables = {}) => {
    const response = await device.post(url, { data: { query, variables } });
    const { data, errors } = await response.json();
    if (errors) throw new Error(JSON.stringify(errors));
    return data;
  };
  const signIn = 'mutation ($input: SessionCreateInput!) { sessionCreate(input: $input) { session { id } } }';
  await ask(signIn, { input: { email: person.email, password: person.password } });
  return {
    ask,
    unread: async () => (await ask('{ viewer { unreadNotificationCount } }')).viewer.unreadNotificationCount,
    addTask: (input) =>
      ask('mutation ($input: TaskCreateInput!) { taskCreate(input: $input) { task { id } } }', { input }),
    remind: async (message, ms) => {
      const create = 'mutation ($input: ReminderCreateInput!) { reminderCreate(input: $input) { reminder { id } } }';
      // On a busy machine the moment may have passed when the request is read.
      for (let ahead = ms; ; ahead *= 2) {
        const input = { message, scheduledAt: new Date(Date.now() + ahead).toISOString() };
        if ((await ask(create, { input })).reminderCreate.reminder) return;
      }
    },
  };
}

/** Keeps every number that the badge of a page shows, in order. Runs in the page. */
function keepBadges() {
  const shown = (globalThis.shownBadges = []);
  const look = () => {
    const text = document.querySelector('[data-testid=badge]')?.textContent ?? '0';
    if (shown.at(-1) !== text) shown.push(text);
  };
  new MutationObserver(look).observe(document, { subtree: true, childList: true, characterData: true });
}

const badgeOf = async (page) => (await page.getByTestId('badge').allTextContents())[0] ?? '0';
const shows = (page, number, who = 'the badge') =>
  until(`${who} to show ${number}`, async () => (await badgeOf(page)) === String(number), 20_000);
const titlesOf = (page) => page.getByRole('list', { name: 'Tasks' }).locator('.title').allTextContents();
const countsUp = (numbers) => numbers.every((number, index) => index === 0 || number >= numbers[index - 1]);

/** Looks at what the page shows now as axe-core does, in light and in dark colours. */
async function isAccessible(page, what) {
  const found = [];
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    await page.evaluate(axe.source);
    const { violations } = await page.evaluate(() => globalThis.axe.run());
    found.push(...violations.map(({ id, nodes }) => `${id} (${colorScheme}): ${nodes.map(({ html }) => html)}`));
  }
  await page.emulateMedia({ colorScheme: 'light' });
  check(`${what} is accessible`, found.length === 0, found);
}

async function addTask(page, title) {
  await page.getByLabel('New task').fill(title);
  await page.getByRole('button', { name: 'Add' }).click();
  await until(`the task ${title} on top`, async () => (await titlesOf(page))[0] === title);
}

async function signsInAndPages(page, person, device, sent) {
  await page.goto(`http://127.0.0.1:${pagePort}/`);
  await page.getByLabel('Email').fill(person.email);
  await page.getByLabel('Password').fill('not the password');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('alert').waitFor();
  check('a wrong password is told in words', /password/i.test(await page.getByRole('alert').innerText()));
  await isAccessible(page, 'the page to sign in at');
  await page.getByLabel('Password').fill(person.password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText('Nothing to do').waitFor();
  check('signing in leads to the list, which is empty', true);
  const inReach = await page.evaluate(() => [document.cookie, ...Object.values({ ...localStorage, ...sessionStorage })]);
  check('nothing that opens the session is in reach of a script', inReach.join('') === '', inReach);

  for (let number = 1; number <= 21; number += 1) {
    await device.addTask({ title: `Chapter ${number}`, priority: number % 5 === 0 ? 'HIGH' : 'MEDIUM' });
  }
  sent.length = 0;
  await page.reload();
  await page.getByText('Chapter 21').waitFor();
  const documents = sent.filter((body) => 'query' in body).map(({ operationName }) => operationName);
  check('documents that the server knows are not sent again', documents.length === 0 && sent.length > 0, documents);
  for (const title of TITLES) await addTask(page, title);
  await page.getByLabel('New task').fill('ab');
  await page.getByRole('button', { name: 'Add' }).click();
  await page.getByRole('alert').waitFor();
  check('a title that is too short is told in words', true);
  await page.getByLabel('New task').fill('');
  await page.getByRole('alert').waitFor({ state: 'detached' });

  const sizes = [(await titlesOf(page)).length];
  const more = page.getByRole('button', { name: 'Load more' });
  while (await more.isVisible()) {
    await more.click();
    await until('more tasks', async () => (await titlesOf(page)).length > sizes.at(-1));
    sizes.push((await titlesOf(page)).length);
  }
  const first = PAGE + TITLES.length;
  check('the list grows by a page at a time', sizes.join() === [first, first + PAGE, 25].join(), sizes);
  const expected = [...TITLES.toReversed(), ...Array.from({ length: 21 }, (_, index) => `Chapter ${21 - index}`)];
  const got = await titlesOf(page);
  check('every task is there once, the newest first', got.join() === expected.join(), got);
}

async function countsWhileRemindersFire(page, device) {
  const at = Date.now() + 8_000;
  // What a person would type: their own local time, here Berlin's.
  const local = await page.evaluate((ms) => new Date(ms).toLocaleString('sv-SE').replace(' ', 'T'), at);
  const task = page.getByRole('listitem').filter({ hasText: TITLES[0] });
  await task.getByRole('button', { name: 'Remind me' }).click();
  await task.getByLabel('Remind me at').fill(local);
  await task.getByRole('button', { name: 'Set reminder' }).click();
  await task.getByText('Reminder:').waitFor();
  check('no badge is shown before', (await badgeOf(page)) === '0');
  await shows(page, 1);
  const late = Date.now() - Math.floor(at / 1_000) * 1_000;
  console.log(`lateness ${late} ms`);
  check('the badge counts when the reminder fires, within five seconds', late >= 0 && late < 5_000, `${late} ms`);
  await page.getByRole('checkbox', { name: TITLES[2] }).click();
  await shows(page, 2);
  check('and when a task is done', await page.getByRole('checkbox', { name: TITLES[2] }).isChecked());
  await device.remind('The oven is hot', 500);
  await shows(page, 3);
  const bell = page.getByRole('button', { name: 'Notifications: 3 unread notifications' });
  await bell.click();
  await page.getByRole('region', { name: 'Latest notifications' }).getByText('The oven is hot').waitFor();
  check('a screen reader is told the number, and the bell shows what it counts', true);
  await isAccessible(page, 'the list with its bell');
  if (screenshots) {
    await page.evaluate(() => (document.activeElement.blur(), scrollTo(0, 0)));
    await page.screenshot({ path: join(screenshots, 'app.png') });
  }
  await page.keyboard.press('Escape');
  await bell.click();
  await bell.click();
}

async function survivesACut(page, device, proxy, complaints) {
  complaints.expectBrokenConnections(true);
  proxy.cut();
  for (const message of ['First', 'Second', 'Third']) await device.remind(message, 300);
  await until('the reminders to fire', async () => (await device.unread()) === 6);
  check('while the connection is cut the badge stays', (await badgeOf(page)) === '3', await badgeOf(page));
  proxy.mend();
  await shows(page, 6);
  complaints.expectBrokenConnections(false);
  check('afterwards it shows what happened meanwhile', true);
  // Cut at any moment, also while events come.
  for (let round = 1; round <= 3; round += 1) {
    complaints.expectBrokenConnections(true);
    const coming = [0, 60, 120].map((ms) => device.remind(`Round ${round}`, 100 + ms));
    await Promise.all(coming);
    proxy.cut();
    proxy.mend();
    await shows(page, 6 + round * 3);
    complaints.expectBrokenConnections(false);
  }
  complaints.expectBrokenConnections(true);
  proxy.silence();
  await device.remind('Into the silence', 100);
  await shows(page, 16);
  check('a connection that broke without a word is noticed', true);
  // The browser would send its next requests into the silence, too.
  proxy.cut();
  proxy.mend();
  check('the badge equals the query', (await badgeOf(page)) === String(await device.unread()));
  complaints.expectBrokenConnections(false);
  const seen = (await page.evaluate(() => globalThis.shownBadges)).map(Number);
  check('it never counted backwards or too far', countsUp(seen) && seen.at(-1) === 16, seen);
}

async function twoTabsAgree(page, second, device) {
  await second.goto(`http://127.0.0.1:${pagePort}/`);
  await shows(second, 16, 'the badge of the second tab');
  await device.remind('For both', 300);
  await Promise.all([shows(page, 17), shows(second, 17, 'the badge of the second tab')]);
  check('two tabs count alike', true);
  await second.getByRole('button', { name: /^Notifications/ }).click();
  await second.getByRole('button', { name: 'Mark all as read' }).click();
  await Promise.all([shows(page, 0), shows(second, 0, 'the badge of the second tab')]);
  check('what one tab marks as read is read in both, and for the server', (await device.unread()) === 0);
}

async function refreshIsNotNoticed(page, context, device, closed) {
  const access = async () => (await context.cookies(url)).find(({ name }) => name === 'accessToken')?.value;
  const before = closed.count;
  await until('the access cookie to end', async () => (await access()) === undefined, 30_000);
  await until('the socket to end with it, twice', () => closed.count >= before + 2, 30_000);
  await device.remind('After the end of the token', 300);
  await shows(page, 1);
  check('the badge counts on when the access token has ended', true);
  await addTask(page, 'Added after the end of the token');
  check('and the app goes on working, by a new cookie', (await access()) !== undefined);
  check('nobody was asked to sign in again', !(await page.getByLabel('Password').isVisible()));
}

async function endsWithItsSession(page, device) {
  await device.ask('mutation { sessionRevokeOthers { revokedSessionIds } }');
  await page.getByLabel('Password').waitFor();
  check('a session that is ended elsewhere leads back to signing in', true);
}

const proxy = new TcpProxy(new URL(address));
let browser, pageServer;
try {
  const api = await proxy.listen();
  pageServer = await servePage(Number(pagePort), api);
  const person = await newPerson(url);
  const device = await otherDevice(person);
  browser = await launch();
  const context = await browser.newContext({
    viewport: { width: 1200, height: 750 },
    timezoneId: 'Europe/Berlin',
    locale: 'en-GB',
  });
  context.setDefaultTimeout(15_000);
  await context.addInitScript(keepBadges);
  const complaints = await listenForComplaints(context);
  const page = await context.newPage();
  const closed = { count: 0 };
  const sent = [];
  page.on('request', (asked) => asked.method() === 'POST' && sent.push(asked.postDataJSON()));
  page.on('websocket', (socket) => socket.on('close', () => (closed.count += 1)));
  await signsInAndPages(page, person, device, sent);
  await countsWhileRemindersFire(page, device);
  await survivesACut(page, device, proxy, complaints);
  await twoTabsAgree(page, await context.newPage(), device);
  await refreshIsNotNoticed(page, context, device, closed);
  await endsWithItsSession(page, device);
  check('no page had anything to complain of', complaints.list.length === 0, complaints.list);
} catch (error) {
  check('it goes through to the end', false, why(error));
} finally {
  await browser?.close();
  pageServer?.close();
  proxy.cut();
  proxy.close();
}
// Connections that a browser keeps open for later would hold the script.
process.exit();
