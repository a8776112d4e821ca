// What the scripts beside this file share: asking over HTTP, reading the development mailbox, registering somebody,
// telling what holds and what does not, and keeping a table for people to read.
// Promise: nothing waits for ever. Every wait ends with the caller's signal or with its own time, and says what it
// waited for.
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** The documents that the scripts send, so that each can be held against the schema. */
export const DOCUMENTS = {
  register: `mutation Register($input: AccountRegisterInput!) {
    accountRegister(input: $input) { registration { id } userErrors { code message } }
  }`,
  verify: `mutation Verify($input: AccountVerifyEmailInput!) {
    accountVerifyEmail(input: $input) { tokens { accessToken } user { id } userErrors { code message } }
  }`,
  taskCreate: `mutation TaskCreate($input: TaskCreateInput!) {
    taskCreate(input: $input) { task { id } userErrors { code message } }
  }`,
  taskComplete: `mutation TaskComplete($input: TaskCompleteInput!) {
    taskComplete(input: $input) { task { id } userErrors { code message } }
  }`,
  reminderCreate: `mutation ReminderCreate($input: ReminderCreateInput!) {
    reminderCreate(input: $input) { reminder { id } userErrors { code message } }
  }`,
  viewer: `query Viewer { viewer { name unreadNotificationCount } }`,
  events: `subscription Events($after: Cursor) {
    notificationEvents(after: $after) {
      cursor kind unreadNotificationCount notification { id title type message }
    }
  }`,
  eventsFromNow: `subscription EventsFromNow {
    notificationEvents { cursor kind unreadNotificationCount notification { id title type } }
  }`,
};

/** The URL of a command line, or the end of the program with its usage. */
export function urlFromCommandLine(script) {
  const [url, ...rest] = process.argv.slice(2);
  if (rest.length === 0 && url && URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)) return url;
  console.error(`Usage: node ${script} URL      (the GraphQL endpoint, like http://127.0.0.1:8000/graphql)`);
  process.exit(2);
}

/** The same address for a WebSocket. */
export function socketUrl(url) {
  return url.replace(/^http/, 'ws');
}

/** What is wrong, in the words of whoever answered, with its cause if it has one. */
export function why(error) {
  const cause = error?.cause?.message ?? error?.cause?.code;
  return cause ? `${error.message}: ${cause}` : (error?.message ?? String(error));
}

/** Says whether a sentence holds. One that does not makes the script fail. */
export function check(sentence, ok, got) {
  if (!ok) process.exitCode = 1;
  console.log(ok ? `ok ${sentence}` : `not ok ${sentence} (got ${typeof got === 'string' ? got : JSON.stringify(got)})`);
}

/** Keeps a text in the folder that REPORTS names, if it does. Scripts that run at once leave the whole of one. */
export function report(name, text) {
  const folder = process.env.REPORTS;
  if (!folder) return;
  mkdirSync(folder, { recursive: true });
  const draft = join(folder, `${name}.${process.pid}`);
  writeFileSync(draft, `${text}\n`);
  renameSync(draft, join(folder, name));
}

/** Looks every 50 ms until there is an answer; says after its time what it waited for. */
export async function until(what, look, ms = 15_000) {
  const end = Date.now() + ms;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) throw new Error(`waited ${ms} ms for ${what}`);
    await sleep(50);
  }
}

/** Asks over HTTP. Gives `data` back; whatever else comes is an error. */
export async function ask(url, query, variables, { token, signal = AbortSignal.timeout(10_000) } = {}) {
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/graphql-response+json',
      ...(token ? { authorization: `Bearer ${token}` } : {}),
    },
    body: JSON.stringify({ query, variables }),
    signal,
  });
  const text = await response.text();
  let answer;
  try {
    answer = JSON.parse(text);
  } catch {
    throw new Error(`status ${response.status} and no JSON: ${text.slice(0, 200)}`);
  }
  if (answer.errors || !answer.data) {
    throw new Error(`status ${response.status} and ${JSON.stringify(answer.errors ?? answer).slice(0, 400)}`);
  }
  return answer.data;
}

/** Runs a mutation that is to succeed. Gives its payload back. */
export async function act(url, query, input, options) {
  const [payload] = Object.values(await ask(url, query, { input }, options));
  if (payload.userErrors.length > 0) throw new Error(`userErrors ${JSON.stringify(payload.userErrors)}`);
  return payload;
}

/** Waits for a mail to this address, looking every 100 ms. */
export async function mailTo(url, to, wanted, what, { signal = AbortSignal.timeout(10_000) } = {}) {
  const mailbox = new URL(`/dev/mailbox?to=${encodeURIComponent(to)}`, url);
  let subjects = [];
  for (;;) {
    try {
      const response = await fetch(mailbox, { headers: { accept: 'application/json' }, signal });
      if (!response.ok) throw new Error(`the mailbox answers with status ${response.status}`);
      const mails = await response.json();
      const found = mails.find(wanted);
      if (found) return found;
      subjects = mails.map((mail) => mail.subject);
      await sleep(100, undefined, { signal });
    } catch (error) {
      if (!signal.aborted) throw error;
      throw new Error(`no ${what} came in time; in the mailbox: ${JSON.stringify(subjects)}`);
    }
  }
}

/** Registers somebody new and verifies the code from the mail. */
export async function newPerson(url, options) {
  const email = `frontend-${randomUUID()}@example.org`;
  const name = 'Frida Frontend';
  const password = randomBytes(15).toString('base64url');
  const { registration } = await act(url, DOCUMENTS.register, { name, email, password }, options);
  const withCode = (mail) => /\b\d{6}\b/.test(mail.text);
  const mail = await mailTo(url, email, withCode, 'mail with a code', options);
  const [code] = mail.text.match(/\b\d{6}\b/);
  const input = { registrationId: registration.id, code, transport: 'TOKENS' };
  const { tokens, user } = await act(url, DOCUMENTS.verify, input, options);
  if (!tokens?.accessToken) throw new Error('accountVerifyEmail with TOKENS gave no accessToken');
  return { id: user.id, name, email, password, token: tokens.accessToken };
}
