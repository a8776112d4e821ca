// Apollo Client against a running server: the normalised cache with pages, automatic persisted queries, an upload by the
// multipart protocol, and a subscription over graphql-ws that tells when the file is ready.
// Promise: each does one real thing, and what went over the wire is looked at; ended by itself within half a minute.
import { createHash } from 'node:crypto';

import { ApolloClient, HttpLink, InMemoryCache, gql } from '@apollo/client';
import { SetContextLink } from '@apollo/client/link/context';
import { PersistedQueryLink } from '@apollo/client/link/persisted-queries';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { relayStylePagination } from '@apollo/client/utilities';
import UploadHttpLink from 'apollo-upload-client/UploadHttpLink.mjs';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';

import { check, newPerson, socketUrl, until, urlFromCommandLine, why } from './spacedly.mjs';

const url = urlFromCommandLine('apollo.mjs');
const sha256 = (text) => createHash('sha256').update(text).digest('hex');

const TASKS = gql`
  query Tasks($first: Int!, $after: Cursor) {
    viewer {
      id
      tasks(first: $first, after: $after) {
        edges {
          cursor
          node {
            id
            title
            status
          }
        }
        pageInfo {
          endCursor
          hasNextPage
        }
      }
    }
  }
`;
const TASK_CREATE = gql`
  mutation TaskCreate($input: TaskCreateInput!) {
    taskCreate(input: $input) {
      task {
        id
      }
    }
  }
`;
const TASK_COMPLETE = gql`
  mutation TaskComplete($input: TaskCompleteInput!) {
    taskComplete(input: $input) {
      task {
        id
        status
      }
    }
  }
`;
const UPLOAD = gql`
  mutation Upload($input: AttachmentsCreateInput!) {
    attachmentsCreate(input: $input) {
      attachments {
        id
        fileName
        status
      }
      userErrors {
        message
      }
    }
  }
`;
const FILES = gql`
  subscription Files {
    attachmentEvents {
      attachment {
        id
        status
        downloadUrl
      }
    }
  }
`;

/** A fetch that keeps what is sent. */
function noting() {
  const sent = [];
  const fetchIt = (address, init) => {
    sent.push({ method: init.method, address: String(address), body: init.body });
    return fetch(address, init);
  };
  return { sent, fetch: fetchIt };
}

const signedIn = (person) =>
  new SetContextLink(({ headers }) => ({ headers: { ...headers, authorization: `Bearer ${person.token}` } }));
const newCache = () =>
  new InMemoryCache({ typePolicies: { User: { fields: { tasks: relayStylePagination() } } } });

async function cachesPages(person) {
  const wire = noting();
  const link = signedIn(person).concat(new HttpLink({ uri: url, fetch: wire.fetch }));
  const client = new ApolloClient({ link, cache: newCache() });
  const ids = [];
  for (const title of ['One', 'Two', 'Three', 'Four', 'Five'].map((word) => `Task ${word}`)) {
    const { data } = await client.mutate({ mutation: TASK_CREATE, variables: { input: { title } } });
    ids.unshift(data.taskCreate.task.id);
  }
  const list = client.watchQuery({ query: TASKS, variables: { first: 2 } });
  let shown;
  const watching = list.subscribe(({ data }) => (shown = data?.viewer?.tasks));
  const shownIds = () => shown?.edges?.map(({ node }) => node.id) ?? [];
  await until('the first page', () => shownIds().length === 2);
  while (shown.pageInfo.hasNextPage) {
    const before = shownIds().length;
    await list.fetchMore({ variables: { after: shown.pageInfo.endCursor } });
    await until('another page', () => shownIds().length > before);
  }
  check('cache: pages are joined into one list, each task once', shownIds().join() === ids.join(), shownIds());
  const asked = wire.sent.length;
  await client.mutate({ mutation: TASK_COMPLETE, variables: { input: { id: ids[3] } } });
  await until('the list to know', () => shown.edges[3].node.status === 'COMPLETED');
  check('cache: a mutation changes the task in the list, without asking for it', wire.sent.length === asked + 1);
  watching.unsubscribe();
  client.stop();
  return ids[0];
}

async function persistsQueries(person) {
  for (const useGETForHashedQueries of [false, true]) {
    const how = useGETForHashedQueries ? 'GET' : 'POST';
    const wire = noting();
    const link = signedIn(person)
      .concat(new PersistedQueryLink({ sha256, useGETForHashedQueries }))
      .concat(new HttpLink({ uri: url, fetch: wire.fetch }));
    const client = new ApolloClient({ link, cache: newCache() });
    // A document that the server has not seen: no other person and no other way has sent it.
    const query = gql(`query Persisted${how}${sha256(person.id).slice(0, 12)} { viewer { name } }`);
    for (const round of ['first', 'second']) {
      wire.sent.length = 0;
      const { data } = await client.query({ query, fetchPolicy: 'no-cache' });
      const kinds = wire.sent.map(({ address, body }) => {
        const asked = body ? JSON.parse(body) : Object.fromEntries(new URL(address).searchParams);
        const extensions = typeof asked.extensions === 'string' ? JSON.parse(asked.extensions) : asked.extensions;
        const hash = extensions?.persistedQuery?.sha256Hash ? 'hash' : 'no hash';
        return asked.query ? `${hash} and document` : hash;
      });
      const wanted = round === 'first' ? 'hash, hash and document' : 'hash';
      const answered = data?.viewer.name === person.name && kinds.join(', ') === wanted;
      check(`persisted queries by ${how}: the ${round} time goes ${wanted}`, answered, kinds);
    }
    client.stop();
  }
  const refused = await rawPersisted(person, '{ viewer { name } }', sha256('something else'));
  const code = refused.errors?.[0]?.extensions?.code;
  check('persisted queries: a hash of another document is refused', code === 'BAD_REQUEST', refused);
  const unknown = await rawPersisted(person, undefined, sha256(`nobody sent this ${person.id}`));
  const [error] = unknown.errors ?? [];
  const told = error?.message === 'PersistedQueryNotFound' && error.extensions?.code === 'PERSISTED_QUERY_NOT_FOUND';
  check('persisted queries: one that is not known is told as Apollo demands', told, unknown);
}

async function rawPersisted(person, query, sha256Hash) {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${person.token}` },
    body: JSON.stringify({ query, extensions: { persistedQuery: { version: 1, sha256Hash } } }),
  });
  return response.json();
}

async function uploads(person, taskId) {
  const socket = createClient({
    url: socketUrl(url),
    webSocketImpl: WebSocket,
    connectionParams: { authorization: `Bearer ${person.token}` },
  });
  const live = new ApolloClient({ link: new GraphQLWsLink(socket), cache: newCache() });
  const states = [];
  let connected;
  const open = new Promise((resolve) => (connected = resolve));
  socket.on('message', ({ type }) => type === 'connection_ack' && connected());
  const following = live.subscribe({ query: FILES }).subscribe(({ data }) => {
    if (data) states.push(data.attachmentEvents.attachment);
  });
  await open;
  // The header that no form of another site can send.
  const headers = { 'apollo-require-preflight': 'true' };
  const link = signedIn(person).concat(new UploadHttpLink({ uri: url, headers }));
  const client = new ApolloClient({ link, cache: newCache() });
  const text = 'Buy: a fern, a pot, some earth.\n'.repeat(200);
  const files = [new File([text], 'shopping.txt', { type: 'text/plain' })];
  const { data } = await client.mutate({ mutation: UPLOAD, variables: { input: { taskId, files } } });
  const [attachment] = data.attachmentsCreate.attachments ?? [];
  check('upload: a file goes up by the multipart protocol', attachment?.fileName === 'shopping.txt', data);
  const ready = await until('READY', () =>
    states.find(({ id, status }) => id === attachment.id && status === 'READY'),
  );
  check('subscription: graphql-ws tells when the file is ready', true);
  const back = await (await fetch(ready.downloadUrl)).text();
  check('upload: what is downloaded is what went up', back === text, `${back.length} bytes`);
  following.unsubscribe();
  client.stop();
  live.stop();
  await socket.dispose();
}

try {
  const person = await newPerson(url);
  const task = await cachesPages(person);
  await uploads(person, task);
  await persistsQueries(person);
} catch (error) {
  check('it goes through to the end', false, why(error));
}
process.exit();
