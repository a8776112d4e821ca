// The connection to Spacedly: queries and mutations over HTTP, subscriptions over one WebSocket, both with the cookies
// of the session.
// Promise: a subscription whose connection broke goes on from the last cursor it saw: nothing is missed or repeated.
import { ApolloClient, ApolloLink, CombinedGraphQLErrors, HttpLink, InMemoryCache, Observable } from '@apollo/client';
import { ErrorLink } from '@apollo/client/link/error';
import { PersistedQueryLink } from '@apollo/client/link/persisted-queries';
import { getMainDefinition, relayStylePagination } from '@apollo/client/utilities';
import { OperationTypeNode, print } from 'graphql';
import { type Client as Socket, createClient } from 'graphql-ws';

const url = document.querySelector<HTMLMetaElement>('meta[name=api]')?.content ?? '/graphql';

const LONGEST_WAIT_MS = 5_000;
const PING_MS = 10_000;

/** Waits longer each time, and not all browsers alike, before the server is asked again. */
export function wait(retries: number): Promise<void> {
  const ms = Math.min(250 * 2 ** retries, LONGEST_WAIT_MS) * (0.5 + Math.random() / 2);
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** What the server knows a document by (automatic persisted queries): it is sent once, from then on only this is. */
async function sha256(text: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Subscriptions over a socket. Their events have cursors, from which a new connection goes on. */
function liveLink(socket: Socket): ApolloLink {
  return new ApolloLink(
    ({ query, operationName, variables }) =>
      new Observable((observer) => {
        // graphql-ws sends the payload again, as it is then, with every connection.
        const payload = { query: print(query), operationName, variables: { ...variables } };
        return socket.subscribe(payload, {
          next: (result) => {
            for (const event of Object.values(result.data ?? {})) {
              if (hasCursor(event)) payload.variables['after'] = event.cursor;
            }
            observer.next(result as ApolloLink.Result);
          },
          error: (error) => observer.error(asError(error)),
          complete: () => observer.complete(),
        });
      }),
  );
}

/** What graphql-ws ends a subscription with: errors of GraphQL, the close of the socket, or an error. */
function asError(ended: unknown): Error {
  if (Array.isArray(ended)) return new CombinedGraphQLErrors({ errors: ended });
  return ended instanceof Error ? ended : new Error('The connection to Spacedly is closed.', { cause: ended });
}

function hasCursor(event: unknown): event is { cursor: string } {
  return typeof event === 'object' && event !== null && 'cursor' in event;
}

/** Whether the server said this of a request. */
export function hasCode(error: unknown, code: string): boolean {
  return CombinedGraphQLErrors.is(error) && error.errors.some(({ extensions }) => extensions?.['code'] === code);
}

/** A client with an empty cache. `onSignedOut` is told when the session has ended. */
export function connect(onSignedOut: () => void): ApolloClient {
  const socket = createClient({
    url: new URL(url, location.href).href.replace(/^http/, 'ws'),
    retryAttempts: Infinity,
    retryWait: wait,
    keepAlive: PING_MS,
  });
  // A connection that broke without a word is noticed by its silence.
  let silence: ReturnType<typeof setTimeout>;
  socket.on('ping', (received) => {
    if (!received) silence = setTimeout(() => socket.terminate(), PING_MS / 2);
  });
  socket.on('pong', () => clearTimeout(silence));
  socket.on('closed', () => clearTimeout(silence));
  const watch = new ErrorLink(({ error }) => {
    if (hasCode(error, 'UNAUTHENTICATED')) onSignedOut();
  });
  const isLive: Parameters<typeof ApolloLink.split>[0] = ({ query }) => {
    const definition = getMainDefinition(query);
    return definition.kind === 'OperationDefinition' && definition.operation === OperationTypeNode.SUBSCRIPTION;
  };
  const http = new PersistedQueryLink({ sha256 }).concat(new HttpLink({ uri: url, credentials: 'include' }));
  const cache = new InMemoryCache({
    typePolicies: { User: { fields: { tasks: relayStylePagination(['filter', 'orderBy', 'search']) } } },
  });
  return new ApolloClient({ link: watch.concat(ApolloLink.split(isLive, liveLink(socket), http)), cache });
}
