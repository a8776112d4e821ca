// Every rule of graphql-transport-ws against a running server, spoken by hand over a bare WebSocket.
// (https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md)
// Promise: each case is a sentence, and what came instead stands behind it; nothing is slept through except the five
// seconds of the server's own patience. The table of the closes is kept as close-codes.txt, too.
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';

import { Got, PROTOCOL, Peer, closes, malformed } from './peer.mjs';
import { DOCUMENTS, act, newPerson, report, socketUrl, urlFromCommandLine, why } from './spacedly.mjs';

const url = urlFromCommandLine('socket.mjs');

/** The server's limits, as its configuration has them by default. */
const INIT_TIMEOUT_MS = 5_000;
const MESSAGE_LIMIT = 64_000;
const SUBSCRIPTIONS = 10;
const ID_LIMIT = 256;

let cases = 0;
let failures = 0;

/** Runs a case. Every socket that it opens is cut at its end. */
async function check(sentence, test) {
  const peers = [];
  const open = (options) => {
    const peer = new Peer(socketUrl(url), options);
    peers.push(peer);
    return peer;
  };
  cases += 1;
  try {
    await test(open, sentence);
    console.log(`ok ${sentence}`);
  } catch (error) {
    failures += 1;
    console.log(`not ok ${sentence} (got ${error instanceof Got ? error.message : why(error)})`);
  } finally {
    for (const peer of peers) peer.end();
  }
}

function same(value, expected) {
  if (isDeepStrictEqual(value, expected)) return;
  throw new Got(`${JSON.stringify(value)} instead of ${JSON.stringify(expected)}`);
}

/** An acknowledged socket of nobody. */
const anonymous = async (open) => (await open().opened()).join();

/** An acknowledged socket of a person. */
const of = async (person, open) => (await open().opened()).join({ authorization: `Bearer ${person.token}` });

// Handshake and subprotocol

async function handshakes() {
  await check('no subprotocol closes with 4406', async (open, sentence) => {
    await (await open({ protocols: [] }).opened()).closesWith(4406, sentence);
  });
  for (const header of ['graphql-ws', 'Graphql-Transport-WS', 'graphql-transport-ws2, x']) {
    await check(`the subprotocol ${header} closes with 4406`, async (open, sentence) => {
      await (await open({ protocols: [], header }).opened()).closesWith(4406, sentence);
    });
  }
  await check('of several subprotocols the server chooses graphql-transport-ws', async (open) => {
    const peer = await open({ protocols: ['graphql-ws', PROTOCOL] }).opened();
    same(peer.subprotocol, PROTOCOL);
    await peer.join();
  });
  for (const origin of ['https://evil.example', 'null']) {
    await check(`the origin ${origin} is refused at the handshake with 403`, async (open) => {
      same(await open({ origin }).refusal(), 403);
    });
  }
  await check("the server's own origin may open a socket", async (open) => {
    await (await open({ origin: new URL(url).origin }).opened()).join();
  });
  await check('a ping of WebSocket itself is answered with the same data', async (open) => {
    const peer = await open().opened();
    peer.pingBelow('still there');
    const pong = await peer.message('a WebSocket pong');
    same(pong.payload, 'still there');
  });
  await check('a close with 1000 is answered with 1000', async (open, sentence) => {
    const peer = await anonymous(open);
    peer.close(1000);
    await peer.closesWith(1000, sentence);
  });
}

// connection_init

/** Takes as long as the server waits: runs beside the other cases. */
function patience() {
  const within = (began) => {
    const took = Math.round(performance.now() - began);
    if (took < INIT_TIMEOUT_MS - 200 || took > INIT_TIMEOUT_MS + 1_500) throw new Got(`4408 after ${took} ms`);
  };
  return [
    check('without connection_init the socket closes with 4408 after 5 s', async (open, sentence) => {
      const peer = await open().opened();
      const began = performance.now();
      await peer.closesWith(4408, sentence, INIT_TIMEOUT_MS + 3_000);
      within(began);
    }),
    check('a ping does not lengthen the 5 s for connection_init', async (open, sentence) => {
      const peer = await open().opened();
      const began = performance.now();
      await sleep(INIT_TIMEOUT_MS * 0.6);
      await peer.goesOn();
      await peer.closesWith(4408, sentence, INIT_TIMEOUT_MS + 3_000);
      within(began);
    }),
  ];
}

async function initialisation() {
  const payloads = [['no payload', undefined], ['the payload null', null], ['an empty payload', {}]];
  for (const [name, payload] of payloads) {
    await check(`connection_init with ${name} is acknowledged`, async (open) => {
      await (await open().opened()).join(payload);
    });
  }
  await check('a second connection_init closes with 4429', async (open, sentence) => {
    const peer = await anonymous(open);
    peer.send({ type: 'connection_init' });
    await peer.closesWith(4429, sentence);
  });
  await check('a second connection_init right behind the first closes with 4429', async (open, sentence) => {
    const peer = await open().opened();
    peer.send({ type: 'connection_init' });
    peer.send({ type: 'connection_init' });
    await peer.closesWith(4429, sentence);
  });
  await check('subscribe before connection_init closes with 4401', async (open, sentence) => {
    const peer = await open().opened();
    peer.subscribe('early', '{ __typename }');
    await peer.closesWith(4401, sentence);
    peer.nothingFor('early');
  });
  await check('ping is answered before connection_init as well', async (open) => {
    const peer = await open().opened();
    await peer.goesOn();
    await peer.join();
  });
}

// Messages that are none

/** A subscribe message whose payload has this besides its query. */
const withPayload = (rest) => ({ id: 'a', type: 'subscribe', payload: { query: '{ __typename }', ...rest } });

/** What closes an acknowledged socket. */
const INVALID = [
  ['text that is no JSON', 'connection_init'],
  ['empty text', ''],
  ['a JSON array', '[{"type":"ping"}]'],
  ['a JSON string', '"ping"'],
  ['null', 'null'],
  ['a binary message', Buffer.from('{"type":"ping"}')],
  ['a message without type', { id: 'a' }],
  ['a type that is no string', { type: 7 }],
  ['an unknown type', { id: 'a', type: 'start', payload: { query: '{ __typename }' } }],
  ['a next from the client', { id: 'a', type: 'next', payload: { data: null } }],
  ['an error from the client', { id: 'a', type: 'error', payload: [{ message: 'no' }] }],
  ['a connection_ack from the client', { type: 'connection_ack' }],
  ['subscribe without id', { type: 'subscribe', payload: { query: '{ __typename }' } }],
  ['subscribe with an empty id', { id: '', type: 'subscribe', payload: { query: '{ __typename }' } }],
  ['subscribe with a number as id', { id: 1, type: 'subscribe', payload: { query: '{ __typename }' } }],
  ['subscribe without payload', { id: 'a', type: 'subscribe' }],
  ['subscribe with the payload null', { id: 'a', type: 'subscribe', payload: null }],
  ['subscribe with a string as payload', { id: 'a', type: 'subscribe', payload: '{ __typename }' }],
  ['subscribe with an array as payload', { id: 'a', type: 'subscribe', payload: [{ query: '{ __typename }' }] }],
  ['subscribe without query', { id: 'a', type: 'subscribe', payload: {} }],
  ['subscribe with a query that is no string', withPayload({ query: 1 })],
  ['subscribe with a list of variables', withPayload({ variables: [] })],
  ['subscribe with a number as operationName', withPayload({ operationName: 1 })],
  ['subscribe with text as extensions', withPayload({ extensions: 'x' })],
  ['complete without id', { type: 'complete' }],
  ['complete with an empty id', { id: '', type: 'complete' }],
  ['ping with a string as payload', { type: 'ping', payload: 'x' }],
  ['pong with an array as payload', { type: 'pong', payload: [] }],
];

/** The same before connection_init. */
const INVALID_FIRST = [
  ['text that is no JSON', 'hello'],
  ['a binary message', Buffer.from('{"type":"connection_init"}')],
  ['an unknown type', { type: 'start' }],
  ['connection_init with a string as payload', { type: 'connection_init', payload: 'Bearer x' }],
  ['connection_init with an array as payload', { type: 'connection_init', payload: [] }],
];

async function invalidMessages() {
  for (const [name, message] of INVALID_FIRST) {
    await check(`${name} as the first message closes with 4400`, async (open, sentence) => {
      const peer = await open().opened();
      peer.send(message);
      await peer.closesWith(4400, sentence);
    });
  }
  for (const [name, message] of INVALID) {
    await check(`${name} closes with 4400`, async (open, sentence) => {
      const peer = await anonymous(open);
      peer.send(message);
      await peer.closesWith(4400, sentence);
      same(peer.inbox, []);
    });
  }
}

// Sizes

/** A ping of exactly so many bytes. */
function pingOf(bytes) {
  const frame = JSON.stringify({ type: 'ping', payload: { pad: '' } });
  return JSON.stringify({ type: 'ping', payload: { pad: 'x'.repeat(bytes - frame.length) } });
}

async function sizes() {
  await check(`a message of ${MESSAGE_LIMIT} bytes is read`, async (open) => {
    const peer = await anonymous(open);
    peer.send(pingOf(MESSAGE_LIMIT));
    await peer.message('pong');
  });
  await check(`a message of ${MESSAGE_LIMIT + 1} bytes closes with 1009`, async (open, sentence) => {
    const peer = await anonymous(open);
    peer.send(pingOf(MESSAGE_LIMIT + 1));
    await peer.closesWith(1009, sentence);
  });
  await check('a message that is too large before connection_init closes with 1009', async (open, sentence) => {
    const peer = await open().opened();
    peer.send(pingOf(MESSAGE_LIMIT + 1));
    await peer.closesWith(1009, sentence);
  });
  await check('a message that is too large only with all its frames closes with 1009', async (open, sentence) => {
    const peer = await anonymous(open);
    const whole = pingOf(MESSAGE_LIMIT + 1);
    peer.sendInFrames([whole.slice(0, 30_000), whole.slice(30_000, 60_000), whole.slice(60_000)]);
    await peer.closesWith(1009, sentence);
  });
  await check('a message in several frames is read as one', async (open) => {
    const peer = await anonymous(open);
    const whole = pingOf(3_000);
    peer.sendInFrames([whole.slice(0, 1_000), whole.slice(1_000, 2_000), whole.slice(2_000)]);
    await peer.message('pong');
  });
  // Bytes and not characters, of which each of these has two.
  const longest = 'ü'.repeat(ID_LIMIT / 2);
  await check(`an id of ${ID_LIMIT} bytes is taken, and comes back as it is`, async (open) => {
    const peer = await anonymous(open);
    peer.subscribe(longest, '{ __typename }');
    same(await peer.answer(longest), { data: { __typename: 'Query' } });
  });
  await check(`subscribe with an id of ${ID_LIMIT + 1} bytes closes with 4400, and says why`, async (open, sentence) => {
    const peer = await anonymous(open);
    peer.subscribe(`${longest}x`, '{ __typename }');
    const { reason } = await peer.closesWith(4400, sentence);
    if (!reason.includes(`an id has at most ${ID_LIMIT} bytes`)) throw new Got(reason);
  });
  // The rest of it is on its way when the server has seen enough: the connection may be cut before the close arrives.
  await check('a message of 1 000 000 bytes closes with 1009, or cuts the connection', async (open, sentence) => {
    const peer = await anonymous(open);
    peer.send(pingOf(1_000_000));
    await peer.closesWith([1009, 1006], sentence);
  });
}

// Ping and pong

async function pings() {
  await check('ping is answered with pong and the same payload', async (open) => {
    const peer = await anonymous(open);
    const payload = { text: 'ü "quoted" \u2028 \n', list: [1, 2.5, null, true], deep: { er: {} } };
    peer.send({ type: 'ping', payload });
    const pong = await peer.message('pong');
    same(pong.payload, payload);
  });
  for (const [name, rest] of [['no payload', {}], ['the payload null', { payload: null }]]) {
    await check(`ping with ${name} is answered with pong without one`, async (open) => {
      const peer = await anonymous(open);
      peer.send({ type: 'ping', ...rest });
      const pong = await peer.message('pong');
      same(pong.payload ?? null, null);
    });
  }
  await check('a pong that nobody asked for is ignored', async (open) => {
    const peer = await anonymous(open);
    peer.send({ type: 'pong' });
    peer.send({ type: 'pong', payload: { beat: 1 } });
    await peer.goesOn();
    same(peer.inbox, []);
  });
}

// Operations with one answer

async function answers() {
  await check('a query is answered with next, then complete', async (open) => {
    const peer = await anonymous(open);
    peer.subscribe('q', '{ __typename }');
    same(await peer.answer('q'), { data: { __typename: 'Query' } });
  });
  await check('operationName chooses the operation', async (open) => {
    const peer = await anonymous(open);
    peer.subscribe('q', 'query A { a: __typename } query B { b: __typename }', { operationName: 'B' });
    same(await peer.answer('q'), { data: { b: 'Query' } });
  });
  await check('variables, and nulls for what is optional, are taken', async (open) => {
    const peer = await anonymous(open);
    const query = 'query Q($more: Boolean!) { a: __typename b: __typename @include(if: $more) }';
    peer.subscribe('q', query, { variables: { more: false }, operationName: null, extensions: null });
    same(await peer.answer('q'), { data: { a: 'Query' } });
    peer.subscribe('n', '{ __typename }', { variables: null, extensions: {} });
    same(await peer.answer('n'), { data: { __typename: 'Query' } });
  });
  await check('an id is any text, and comes back as it is', async (open) => {
    const peer = await anonymous(open);
    for (const id of ['ü "quoted" \\ \n \u0001 🏊', '__proto__', ' ', randomUUID()]) {
      peer.subscribe(id, '{ __typename }');
      same(await peer.answer(id), { data: { __typename: 'Query' } });
    }
  });
  await check('an id can be used again after complete, as often as one likes', async (open) => {
    const peer = await anonymous(open);
    for (let round = 0; round < 3 * SUBSCRIPTIONS; round += 1) {
      peer.subscribe('again', '{ __typename }');
      await peer.answer('again');
    }
  });
  await check('several queries run side by side, each under its id', async (open) => {
    const peer = await anonymous(open);
    const ids = ['one', 'two', 'three', 'four'];
    for (const id of ids) peer.subscribe(id, `{ ${id}: __typename }`);
    for (const id of ids) same(await peer.answer(id), { data: { [id]: 'Query' } });
  });
  await check('complete right behind a query is no error, and its id can be used again', async (open) => {
    const peer = await anonymous(open);
    peer.subscribe('left', '{ __typename }');
    peer.send({ type: 'complete', id: 'left' });
    await peer.goesOn();
    const came = peer.inbox.splice(0).map(({ type }) => type);
    if (!['', 'next', 'next,complete'].includes(came.join())) throw new Got(came.join());
    peer.subscribe('left', '{ again: __typename }');
    same(await peer.answer('left'), { data: { again: 'Query' } });
  });
  await check('complete for an unknown id is ignored', async (open) => {
    const peer = await anonymous(open);
    peer.send({ type: 'complete', id: 'nobody' });
    await peer.goesOn();
    same(peer.inbox, []);
  });
}

// Documents that do not run

/** 2²⁰ fields in some 800 bytes. */
const BOMB = [
  'query Bomb { ...f0 }',
  ...Array.from({ length: 20 }, (_, n) => `fragment f${n} on Query { ...f${n + 1} ...f${n + 1} }`),
  'fragment f20 on Query { __typename }',
].join('\n');

const TWO_ROOTS = 'subscription S { a: notificationEvents { cursor } b: notificationEvents { cursor } }';
const TWO_TYPES = '{ node(id: "x") { ... on Task { same: title } ... on Reminder { same: version } } }';

const REFUSED = [
  ['a document that cannot be parsed', '{', {}],
  ['an empty document', '', {}],
  ['an unknown field', '{ thereIsNoSuchField }', {}],
  ['an operationName that the document does not have', 'query A { __typename }', { operationName: 'B' }],
  ['two operations without operationName', 'query A { __typename } query B { __typename }', {}],
  ['a missing variable', 'query Q($id: ID!) { node(id: $id) { id } }', {}],
  ['a variable of the wrong type', 'query Q($id: ID!) { node(id: $id) { id } }', { variables: { id: { no: 1 } } }],
  ['a subscription with two root fields', TWO_ROOTS, {}],
  ['two types under one response name', TWO_TYPES, {}],
  ['a bomb of fragments', BOMB, {}],
];

async function refusals() {
  for (const [name, query, rest] of REFUSED) {
    await check(`${name} gives error with a list, no complete, and the socket goes on`, async (open) => {
      const peer = await anonymous(open);
      const began = performance.now();
      peer.subscribe('e', query, rest);
      const first = await peer.take('error for "e"', (message) => message.id === 'e');
      const took = performance.now() - began;
      if (first.type !== 'error') throw new Got(JSON.stringify(first));
      const fine = first.payload.length > 0 && first.payload.every((error) => typeof error.message === 'string');
      if (!fine) throw new Got(JSON.stringify(first.payload));
      if (took > 1_000) throw new Got(`the error after ${Math.round(took)} ms`);
      await peer.goesOn();
      peer.nothingFor('e');
      peer.subscribe('e', '{ __typename }');
      same(await peer.answer('e'), { data: { __typename: 'Query' } });
    });
  }
  await check("a stranger's notificationEvents end with UNAUTHENTICATED, and the socket goes on", async (open) => {
    const peer = await anonymous(open);
    peer.subscribe('s', DOCUMENTS.eventsFromNow);
    const first = await peer.take('an answer for "s"', (message) => message.id === 's');
    const [error] = first.type === 'error' ? first.payload : (first.payload.errors ?? []);
    if (first.type === 'next') await peer.message('complete', 's');
    same(error?.extensions?.code, 'UNAUTHENTICATED');
    await peer.goesOn();
  });
}

// Who it is

/** The token with another signature, and its claims without any. */
function forgeries(token) {
  const [head, claims, signature] = token.split('.');
  const json = (part) => Buffer.from(JSON.stringify(part)).toString('base64url');
  const other = signature && `${signature.slice(0, 10)}${signature[10] === 'A' ? 'B' : 'A'}${signature.slice(11)}`;
  return [
    ['a token with another signature', `Bearer ${head}.${claims}.${other}`],
    ['a token without signature', `Bearer ${json({ alg: 'none', typ: 'JWT' })}.${claims}.`],
    ['what is no token', 'Bearer nonsense'],
    ['an empty token', 'Bearer '],
  ];
}

async function identities(person) {
  for (const [name, authorization] of forgeries(person.token)) {
    await check(`connection_init with ${name} closes with 4403, unacknowledged`, async (open, sentence) => {
      const peer = await open().opened();
      peer.send({ type: 'connection_init', payload: { authorization } });
      await peer.closesWith(4403, sentence);
      same(peer.inbox, []);
    });
  }
  await check('connection_init with a token says who it is', async (open) => {
    const peer = await of(person, open);
    peer.subscribe('me', '{ viewer { name } }');
    same(await peer.answer('me'), { data: { viewer: { name: person.name } } });
  });
  await check('connection_init without a token is nobody', async (open) => {
    const peer = await anonymous(open);
    peer.subscribe('me', '{ viewer { name } }');
    same(await peer.answer('me'), { data: { viewer: null } });
  });
  await check('a mutation is answered with next, then complete', async (open) => {
    const peer = await of(person, open);
    peer.subscribe('m', DOCUMENTS.taskCreate, { variables: { input: { title: 'Made over a socket' } } });
    const { data, errors } = await peer.answer('m');
    if (!data?.taskCreate?.task?.id) throw new Got(JSON.stringify({ data, errors }));
  });
}

// Streams

/** Makes a task and completes it, which gives the person one notification. Gives its title. */
async function finishTask(person) {
  const title = `Task ${randomUUID()}`;
  const { task } = await act(url, DOCUMENTS.taskCreate, { title }, { token: person.token });
  await act(url, DOCUMENTS.taskComplete, { id: task.id }, { token: person.token });
  return title;
}

/** Waits until the event about this task arrives under this id; the next subscriptions begin behind it. */
async function eventOf(person, peer, id, title, ms) {
  const about = (message) => message.id === id && JSON.stringify(message).includes(title);
  const message = await peer.take(`the event for ${JSON.stringify(id)}`, about, ms);
  const event = message.type === 'next' ? message.payload.data?.notificationEvents : undefined;
  if (!event?.cursor) throw new Got(JSON.stringify(message));
  person.cursor = event.cursor;
  return message;
}

/** Subscribes from the last event that was seen on: nothing that comes after this line is missed. */
function follow(person, peer, ...ids) {
  if (person.cursor === undefined) throw new Got('no event to begin with');
  for (const id of ids) peer.subscribe(id, DOCUMENTS.events, { variables: { after: person.cursor } });
}

async function streams(person) {
  await check('a subscription sends a next for what happens', async (open) => {
    const peer = await of(person, open);
    peer.subscribe('s', DOCUMENTS.events);
    // Nothing tells when a subscription from now on has begun: let things happen until one is seen.
    for (let tries = 9; person.cursor === undefined; tries -= 1) {
      const title = await finishTask(person);
      await eventOf(person, peer, 's', title, 500).catch((got) => {
        if (tries === 0 || peer.closed) throw got;
      });
    }
  });
  await check('two subscriptions at once interleave, with queries and mutations between', async (open) => {
    const peer = await of(person, open);
    follow(person, peer, 'a', 'b');
    for (const round of [1, 2]) {
      const title = await finishTask(person);
      await Promise.all(['a', 'b'].map((id) => eventOf(person, peer, id, title)));
      peer.subscribe(`q${round}`, '{ __typename }');
      same(await peer.answer(`q${round}`), { data: { __typename: 'Query' } });
      peer.subscribe(`m${round}`, DOCUMENTS.taskCreate, { variables: { input: { title: 'Between' } } });
      await peer.answer(`m${round}`);
    }
    same(peer.inbox, []);
  });
  await check('complete from the client stops the stream, and only this one', async (open) => {
    const peer = await of(person, open);
    follow(person, peer, 'stopped', 'going on');
    const before = await finishTask(person);
    await Promise.all(['stopped', 'going on'].map((id) => eventOf(person, peer, id, before)));
    peer.send({ type: 'complete', id: 'stopped' });
    await peer.goesOn();
    await eventOf(person, peer, 'going on', await finishTask(person));
    await eventOf(person, peer, 'going on', await finishTask(person));
    await peer.goesOn();
    peer.nothingFor('stopped');
  });
  await check('the id of a stopped stream can be used again', async (open) => {
    const peer = await of(person, open);
    follow(person, peer, 'again');
    await eventOf(person, peer, 'again', await finishTask(person));
    peer.send({ type: 'complete', id: 'again' });
    follow(person, peer, 'again');
    await eventOf(person, peer, 'again', await finishTask(person));
  });
  const duplicates = [
    ['another subscription', DOCUMENTS.eventsFromNow],
    ['a query', '{ __typename }'],
    ['an invalid document', '{'],
  ];
  for (const [name, query] of duplicates) {
    await check(`${name} under the id of a running subscription closes with 4409`, async (open, sentence) => {
      const peer = await of(person, open);
      follow(person, peer, 'taken');
      peer.subscribe('taken', query);
      await peer.closesWith(4409, sentence);
    });
  }
  await check('the same id on two sockets is no conflict', async (open) => {
    const peers = await Promise.all([of(person, open), of(person, open)]);
    for (const peer of peers) follow(person, peer, 'mine');
    const title = await finishTask(person);
    await Promise.all(peers.map((peer) => eventOf(person, peer, 'mine', title)));
  });
  await check(`subscription ${SUBSCRIPTIONS + 1} is answered by error, and the socket goes on`, async (open) => {
    const peer = await of(person, open);
    const ids = Array.from({ length: SUBSCRIPTIONS }, (_, n) => `s${n + 1}`);
    follow(person, peer, ...ids, 'one too many');
    const refused = await peer.take('an answer for "one too many"', (message) => message.id === 'one too many');
    if (refused.type !== 'error') throw new Got(JSON.stringify(refused));
    const first = await finishTask(person);
    await Promise.all(ids.map((id) => eventOf(person, peer, id, first)));
    await peer.goesOn();
    peer.nothingFor('one too many');
    peer.send({ type: 'complete', id: ids[0] });
    follow(person, peer, 'one too many');
    const second = await finishTask(person);
    await Promise.all([...ids.slice(1), 'one too many'].map((id) => eventOf(person, peer, id, second)));
    peer.nothingFor(ids[0]);
  });
}

// The table of README.md

/** The codes that take other settings, a broken database or a server that stops, and where each is seen to come. */
const ELSEWHERE = { 1001: '../it/process.rs', 1011: '../it/sockets.rs', 1013: '../it/edge.rs' };

async function readme() {
  const textOf = (file) => readFileSync(new URL(file, import.meta.url), 'utf8');
  const rows = textOf('../../README.md').matchAll(/^\| (\d{4}(?:, \d{4})*) \|/gm);
  const told = [...rows].flatMap(([, codes]) => codes.split(', ')).sort();
  await check("every close code in README.md's table was seen to come, and every one that came is in it", () => {
    const here = closes.filter(({ expected, got }) => expected === String(got)).map(({ expected }) => expected);
    const sees = (code) => new RegExp(`(close_code|farewell)\\(\\)\\.await, \\(?${code}\\b`);
    const there = Object.keys(ELSEWHERE).filter((code) => sees(code).test(textOf(ELSEWHERE[code])));
    // 1006 is never sent: clients say it of a connection that broke without a close.
    same(told, [...new Set([...here, ...there, '1006'])].sort());
  });
  await check("every close code in the server's source is in README.md's table", () => {
    const source = ['socket', 'protocol'].map((file) => textOf(`../../api/src/http/${file}.rs`)).join('');
    const sent = source.matchAll(/\bClose\((\d{4})/g);
    const codes = new Set([...sent].map(([, code]) => code));
    if (codes.size === 0) throw new Got('none: they are written in another way now');
    same([...codes].filter((code) => !told.includes(code)), []);
  });
}

/** The closes, alike ones in one line, with how many there were. */
function table() {
  const counts = new Map();
  for (const { expected, got, reason, sentence } of closes) {
    const ok = expected.split(' or ').includes(String(got));
    const key = JSON.stringify([expected, String(got), ok ? 'ok' : 'NOT OK', reason, ok ? '' : sentence]);
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  const rows = [...counts].map(([key, count]) => [...JSON.parse(key).toSpliced(2, 0, String(count))]);
  rows.sort((a, b) => a[0].localeCompare(b[0]) || a[1].localeCompare(b[1]));
  const lines = [['expected', 'got', 'times', '', 'reason', ''], ...rows];
  const widths = lines[0].map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  return lines.map((line) => line.map((cell, column) => cell.padEnd(widths[column])).join('  ').trimEnd()).join('\n');
}

await fetch(url, { signal: AbortSignal.timeout(5_000) }).catch((error) => {
  console.log(`not ok the server answers (got ${why(error)})`);
  process.exit(1);
});
const slow = patience();
await handshakes();
await initialisation();
await invalidMessages();
await sizes();
await pings();
await answers();
await refusals();
let person;
await check('somebody registers over HTTP, for the cases that need a person', async () => {
  person = await newPerson(url, { signal: AbortSignal.timeout(15_000) });
});
if (person) {
  await identities(person);
  await streams(person);
} else {
  console.log('not ok the cases that need a person (got nobody: they did not run)');
}
await Promise.all(slow);
await check('every message of the server has its form, and none comes after the end of its id', async () => {
  if (malformed.length > 0) throw new Got(`${malformed.length}: ${malformed.slice(0, 5).join(' · ')}`);
});
await readme();

console.log(`\n${table()}`);
report('close-codes.txt', table());
console.log(`\n${cases - failures} of ${cases} cases ok`);
process.exitCode = failures > 0 ? 1 : 0;
