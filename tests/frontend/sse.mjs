// The live stream through the real graphql-sse client, in both of its modes, against a running server.
// Promise: what the protocol promises to an app holds with the client that apps use; ended by itself within a minute.
import { createClient } from 'graphql-sse';

import { DOCUMENTS, act, newPerson, urlFromCommandLine, why } from './spacedly.mjs';

const url = urlFromCommandLine('sse.mjs');
const streamUrl = `${url}/stream`;
const signal = AbortSignal.timeout(58_000);
const QUERY = 'query Me { viewer { name } }';

let failures = 0;

function check(sentence, ok, got) {
  if (!ok) failures += 1;
  console.log(ok ? `ok ${sentence}` : `not ok ${sentence} (got ${got})`);
}

/** A promise, or the end of its time. */
async function within(promise, ms, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not come within ${ms} ms`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

function clientOf(person, singleConnection, more = {}) {
  const headers = person ? { authorization: `Bearer ${person.token}` } : {};
  return createClient({ url: streamUrl, singleConnection, headers, retryAttempts: 0, ...more });
}

/** Completes a task, which the live stream tells of. */
async function happen(person, title) {
  const options = { token: person.token, signal };
  const { task } = await act(url, DOCUMENTS.taskCreate, { title }, options);
  await act(url, DOCUMENTS.taskComplete, { id: task.id }, options);
}

/** The next answer of an iterator, which must not be the end. */
async function next(iterator, what) {
  const { value, done } = await within(iterator.next(), 15_000, what);
  if (done) throw new Error(`the stream ended instead of ${what}`);
  return value;
}

const eventOf = (answer) => answer.data?.notificationEvents ?? answer;

/** The rest of an iterator. */
async function all(iterator) {
  const answers = [];
  for await (const answer of iterator) answers.push(answer);
  return answers;
}

async function answers(person, client, mode) {
  const query = await within(all(client.iterate({ query: QUERY })), 15_000, 'the answer to a query');
  const same = JSON.stringify(query) === JSON.stringify([{ data: { viewer: { name: person.name } }, extensions: { cost: 1 } }]);
  check(`${mode}: a query is answered once and completed`, same, JSON.stringify(query));
  const variables = { input: { title: 'By event stream' } };
  const mutation = await within(all(client.iterate({ query: DOCUMENTS.taskCreate, variables })), 15_000, 'the answer to a mutation');
  const created = typeof mutation[0]?.data?.taskCreate?.task?.id === 'string';
  check(`${mode}: a mutation is answered once and completed`, mutation.length === 1 && created, JSON.stringify(mutation));
  const refused = await within(all(client.iterate({ query: DOCUMENTS.events, variables: { after: '99999' } })), 15_000, 'a refusal');
  const code = refused[0]?.errors?.[0]?.extensions?.code;
  check(`${mode}: what a resolver refuses is an answer with its code`, refused.length === 1 && code === 'CURSOR_EXPIRED', JSON.stringify(refused));
}

async function follows(person, client, mode, after) {
  const live = client.iterate({ query: DOCUMENTS.events, variables: { after } });
  const first = next(live, 'the first event');
  await happen(person, `${mode} one`);
  await happen(person, `${mode} two`);
  const events = [eventOf(await first), eventOf(await next(live, 'the second event'))];
  const numbers = events.map((event) => event.unreadNotificationCount);
  check(`${mode}: events come in order`, numbers[1] === numbers[0] + 1, JSON.stringify(events));
  await live.return();
  await happen(person, `${mode} three`);
  const again = client.iterate({ query: DOCUMENTS.events, variables: { after: events[0].cursor } });
  const resumed = [eventOf(await next(again, 'the missed event')), eventOf(await next(again, 'the new event'))];
  check(`${mode}: from a cursor nothing is repeated`, resumed[0].cursor === events[1].cursor, JSON.stringify(resumed));
  check(`${mode}: and nothing is missed`, resumed[1].unreadNotificationCount === numbers[1] + 1, JSON.stringify(resumed));
  await again.return();
  return resumed[1].cursor;
}

/** Many operations on one connection, of which some are stopped. */
async function sharesOneConnection(person, after) {
  const opened = [];
  const fetchFn = (address, options) => {
    opened.push(options.method);
    return fetch(address, options);
  };
  const client = clientOf(person, true, { fetchFn });
  const lives = [1, 2, 3].map(() => client.iterate({ query: DOCUMENTS.events, variables: { after } }));
  const firsts = lives.map((live) => next(live, 'an event on each'));
  await happen(person, 'Told to all');
  const cursors = (await Promise.all(firsts)).map((answer) => eventOf(answer).cursor);
  check('single: each of three subscriptions is told', new Set(cursors).size === 1 && cursors[0], JSON.stringify(cursors));
  const count = (method) => opened.filter((used) => used === method).length;
  const shared = count('PUT') === 1 && count('GET') === 1 && count('POST') === 3;
  check('single: they share one connection', shared, JSON.stringify(opened));
  await lives[0].return();
  const others = lives.slice(1).map((live) => next(live, 'an event on those that go on'));
  await happen(person, 'Told to two');
  await Promise.all(others);
  check('single: stopping one leaves the others', count('DELETE') === 1, JSON.stringify(opened));
  client.dispose();
  return cursors[0];
}

/** A connection that breaks is opened again, and what happened meanwhile comes. */
async function comesBack(person, singleConnection, mode, after) {
  let streams = 0;
  let cut;
  let listening;
  const begun = new Promise((resolve) => (listening = resolve));
  const fetchFn = async (address, options) => {
    const response = await fetch(address, options);
    if (options.headers.accept === 'text/event-stream') {
      streams += 1;
      if (streams > 1) return response;
      cut = new AbortController();
      const { readable, writable } = new TransformStream();
      response.body.pipeTo(writable, { signal: cut.signal }).catch(() => {});
      if (!singleConnection) listening();
      return new Response(readable, { status: response.status, headers: response.headers });
    }
    if (options.method === 'POST') listening();
    return response;
  };
  const client = clientOf(person, singleConnection, { fetchFn, retryAttempts: 2, retry: async () => {} });
  const event = next(client.iterate({ query: DOCUMENTS.events, variables: { after } }), 'an event after coming back');
  await within(begun, 15_000, 'the first connection');
  // The client counts a broken connection as such once it waits for results, a few turns after the answer.
  await new Promise((resolve) => setTimeout(resolve, 50));
  cut.abort();
  await happen(person, 'After the break');
  const { kind, cursor } = eventOf(await event);
  check(`${mode}: a broken connection is opened again`, kind === 'ARRIVED' && streams === 2, `${kind} on ${streams} streams`);
  client.dispose();
  return cursor;
}

async function refuses(singleConnection, mode, person, status) {
  const client = clientOf(person, singleConnection);
  const error = await all(client.iterate({ query: QUERY })).then(() => undefined, (error) => error);
  check(`${mode}: a token that is no good is told by status ${status}`, error?.response?.status === status, why(error ?? {}));
  client.dispose();
}

try {
  const person = await newPerson(url, { signal });
  await happen(person, 'Before');
  let after = '0';
  for (const [mode, singleConnection] of [['distinct', false], ['single', true]]) {
    const client = clientOf(person, singleConnection);
    await answers(person, client, mode);
    after = await follows(person, client, mode, after);
    client.dispose();
    after = await comesBack(person, singleConnection, mode, after);
    await refuses(singleConnection, mode, { token: 'nonsense' }, 401);
  }
  await refuses(true, 'single, as nobody', undefined, 401);
  await sharesOneConnection(person, after);
  const invalid = await all(clientOf(person, false).iterate({ query: '{ nonsense }' }));
  check('distinct: a document that is not valid is an answer with errors', invalid[0]?.errors?.length === 1, JSON.stringify(invalid));
} catch (error) {
  check('it goes through to the end', false, signal.aborted ? 'no end within 58 s' : why(error));
}
process.exit(failures > 0 ? 1 : 0);
