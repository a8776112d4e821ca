// The way of a front end through the usual libraries: graphql-ws, fetch and graphql against a running server.
// Promise: from registering to a delivered reminder in one go, ended by itself within 30 seconds.
import { buildClientSchema, getIntrospectionQuery, parse, validate, validateSchema } from 'graphql';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';

import { DOCUMENTS, act, ask, check, mailTo, newPerson, socketUrl, urlFromCommandLine, why } from './spacedly.mjs';

const url = urlFromCommandLine('client.mjs');

/** How far ahead the reminder lies, and how late it may be. */
const AHEAD_MS = 3_000;
const PATIENCE_MS = 4_000;
const signal = AbortSignal.timeout(28_000);

/** A socket that does not wait half a minute for a server that leaves its close unanswered. */
class Socket extends WebSocket {
  constructor(address, protocols) {
    super(address, protocols, { closeTimeout: 1_000 });
  }
}

/** A promise, or the end of its time; a time that ran out after all does no harm. */
async function within(promise, ms, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not come within ${Math.round(ms)} ms`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

async function introspect() {
  const schema = buildClientSchema(await ask(url, getIntrospectionQuery(), {}, { signal }));
  const errors = validateSchema(schema);
  check('graphql@16 builds a client schema from its introspection query', errors.length === 0, errors[0]?.message);
  for (const [name, document] of Object.entries(DOCUMENTS)) {
    const [error] = validate(schema, parse(document));
    check(`the document ${name} fits the schema`, !error, error?.message);
  }
}

/** Subscribes. Each event is kept with the moment at which it arrived. */
function listen(token) {
  const arrived = [];
  let connected, first, failed;
  const open = new Promise((resolve) => (connected = resolve));
  const event = new Promise((resolve, reject) => ((first = resolve), (failed = reject)));
  event.catch(() => {});
  const client = createClient({
    url: socketUrl(url),
    webSocketImpl: Socket,
    connectionParams: { authorization: `Bearer ${token}` },
    retryAttempts: 0,
    on: { connected },
  });
  client.subscribe(
    { query: DOCUMENTS.eventsFromNow },
    {
      next: (answer) => {
        arrived.push({ answer, at: Date.now() });
        first();
      },
      error: (error) => {
        const closed = error?.code ? `the socket closed with ${error.code} ${error.reason}` : undefined;
        failed(new Error(closed ?? (Array.isArray(error) ? JSON.stringify(error) : why(error))));
      },
      complete: () => failed(new Error('the server completed the stream')),
    },
  );
  return { client, arrived, event, open: Promise.race([open, event]) };
}

async function remind(person) {
  const options = { token: person.token, signal };
  const title = `Water the ferns ${Date.now()}`;
  const { task } = await act(url, DOCUMENTS.taskCreate, { title }, options);
  const scheduledAt = new Date(Date.now() + AHEAD_MS);
  const input = { taskId: task.id, scheduledAt: scheduledAt.toISOString(), type: 'EMAIL' };
  await act(url, DOCUMENTS.reminderCreate, input, options);
  return { title, scheduledAt: scheduledAt.getTime() };
}

function judge({ answer, at }, { title, scheduledAt }) {
  const event = answer.data?.notificationEvents;
  const got = JSON.stringify(answer);
  check('the event tells of an arrival', event?.kind === 'ARRIVED', got);
  const { notification } = event ?? {};
  const ours = notification?.type === 'REMINDER' && notification.title === title;
  check('its notification is the reminder of the task', ours, got);
  check('its unreadNotificationCount is 1', event?.unreadNotificationCount === 1, got);
  check('it has a cursor to go on from', typeof event?.cursor === 'string' && event.cursor !== '', got);
  const lateness = at - scheduledAt;
  console.log(`lateness ${lateness} ms`);
  const inTime = lateness >= 0 && lateness <= PATIENCE_MS;
  check(`it came at its moment, at most ${PATIENCE_MS} ms late`, inTime, `${lateness} ms`);
}

async function judgeMail(person, title) {
  const subject = `Reminder: ${title} is due soon`;
  const mail = await mailTo(url, person.email, (mail) => mail.subject === subject, `mail "${subject}"`, { signal });
  const html = /<\w+[^>]*>/.test(mail.html ?? '') && mail.html.includes(title);
  check('the mail of the reminder has html', html, JSON.stringify(mail.html));
  const text = mail.text?.includes(title) && !/<\w+[^>]*>/.test(mail.text);
  check('the mail of the reminder has text', text, JSON.stringify(mail.text));
}

let listening;
try {
  await introspect();
  const person = await newPerson(url, { signal });
  check('somebody registers, and the code from the mail opens a session', true);
  listening = listen(person.token);
  await within(listening.open, 5_000, 'the acknowledgement of the socket');
  const reminder = await remind(person);
  await within(listening.event, reminder.scheduledAt + 5_000 - Date.now(), 'the event');
  judge(listening.arrived[0], reminder);
  const { viewer } = await ask(url, DOCUMENTS.viewer, {}, { token: person.token, signal });
  const one = viewer?.unreadNotificationCount === 1;
  check('over HTTP unreadNotificationCount is 1 as well', one, JSON.stringify(viewer));
  await judgeMail(person, reminder.title);
  check('the event came once', listening.arrived.length === 1, `${listening.arrived.length} events`);
} catch (error) {
  check('it goes through to the end', false, signal.aborted ? 'no end within 28 s' : why(error));
} finally {
  await listening?.client.dispose();
}
