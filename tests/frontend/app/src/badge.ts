// The number on the bell: how many notifications are unread, kept by the live stream.
// Promise: it misses nothing and never goes back to an older count. It begins with a count and its place in the stream,
// both of one moment; every event brings the count right after it.
import type { ApolloClient } from '@apollo/client';
import { useApolloClient } from '@apollo/client/react';
import { useEffect, useState } from 'react';
import { defer, map, repeat, retry, switchMap } from 'rxjs';

import { hasCode, wait } from './api';
import { graphql } from './gql';

const BADGE = graphql(`
  query NotificationBadge {
    viewer {
      id
      notificationBadge {
        unreadCount
        cursor
      }
    }
  }
`);

const EVENTS = graphql(`
  subscription NotificationEvents($after: Cursor) {
    notificationEvents(after: $after) {
      cursor
      unreadNotificationCount
    }
  }
`);

/** How long to wait before a stream that the server ended is asked for again. */
const PAUSE_MS = 1_000;

/** Follows the count until the function that it gives back is called. */
function follow(client: ApolloClient, show: (unread: number) => void): () => void {
  let cursor: string | null = null;
  const position = async () => {
    if (cursor === null) {
      const { data } = await client.query({ query: BADGE, fetchPolicy: 'no-cache' });
      const badge = data?.viewer?.notificationBadge;
      if (badge) {
        cursor = badge.cursor;
        show(badge.unreadCount);
      }
    }
    return cursor;
  };
  const events = (after: string | null) =>
    client.subscribe({ query: EVENTS, variables: { after }, fetchPolicy: 'no-cache' }).pipe(
      map(({ data, error }) => {
        if (!data) throw error;
        return data.notificationEvents;
      }),
    );
  /** After an error it goes on from its cursor, and waits longer each time. */
  const again = (error: unknown, tries: number) => {
    // The cursor is too old, or of a database that is no more: only a new count helps.
    if (hasCode(error, 'CURSOR_EXPIRED')) cursor = null;
    return wait(tries);
  };
  const stream = defer(position).pipe(
    switchMap(events),
    repeat({ delay: PAUSE_MS }),
    retry({ delay: again, resetOnSuccess: true }),
  );
  const following = stream.subscribe((event) => {
    cursor = event.cursor;
    show(event.unreadNotificationCount);
  });
  return () => following.unsubscribe();
}

/** The number of unread notifications; undefined while it is not known. */
export function useUnreadCount(): number | undefined {
  const client = useApolloClient();
  const [unread, setUnread] = useState<number>();
  useEffect(() => follow(client, setUnread), [client]);
  return unread;
}
