// The bell with its badge, and the latest notifications behind it.
import { useMutation, useQuery } from '@apollo/client/react';
import { useEffect, useState } from 'react';

import { useUnreadCount } from './badge';
import { graphql } from './gql';
import { Problem } from './Problem';

const LATEST = graphql(`
  query LatestNotifications {
    viewer {
      id
      notifications(first: 10) {
        nodes {
          id
          title
          message
          createdAt
          readAt
        }
      }
    }
  }
`);

const MARK_ALL_READ = graphql(`
  mutation MarkAllRead {
    notificationMarkAllRead {
      markedCount
    }
  }
`);

const MOST_SHOWN = 99;

const words = (unread: number) => (unread === 1 ? '1 unread notification' : `${unread} unread notifications`);

export function Bell() {
  const unread = useUnreadCount();
  const [open, setOpen] = useState(false);
  return (
    <div className="bell" onKeyDown={({ key }) => key === 'Escape' && setOpen(false)}>
      <button
        type="button"
        className="quiet"
        aria-expanded={open}
        aria-label={unread === undefined ? 'Notifications' : `Notifications: ${words(unread)}`}
        onClick={() => setOpen(!open)}
      >
        <svg viewBox="0 0 24 24" width="22" height="22" aria-hidden="true">
          <path d="M12 3a6 6 0 0 0-6 6v4l-2 4h16l-2-4V9a6 6 0 0 0-6-6Zm-2.5 16a2.6 2.6 0 0 0 5 0" />
        </svg>
        {Boolean(unread) && (
          <span className="badge" data-testid="badge" aria-hidden="true">
            {unread && unread > MOST_SHOWN ? `${MOST_SHOWN}+` : unread}
          </span>
        )}
      </button>
      <span role="status" className="hidden">
        {unread ? words(unread) : ''}
      </span>
      {open && <Latest unread={unread} />}
    </div>
  );
}

/** The latest ones, looked up again whenever the count changes. */
function Latest({ unread }: { unread: number | undefined }) {
  const { data, error, refetch } = useQuery(LATEST, { fetchPolicy: 'cache-and-network' });
  const [markAllRead, marked] = useMutation(MARK_ALL_READ);
  useEffect(() => void refetch().catch(() => {}), [refetch, unread]);
  const notifications = data?.viewer?.notifications.nodes;
  return (
    <section className="card latest" aria-label="Latest notifications">
      <button
        type="button"
        className="quiet"
        disabled={!unread || marked.loading}
        onClick={() => void markAllRead().catch(() => {})}
      >
        Mark all as read
      </button>
      <Problem error={error ?? marked.error} />
      <ul>
        {notifications?.map(({ id, title, message, createdAt, readAt }) => (
          <li key={id} data-unread={readAt === null}>
            <strong>{title}</strong>
            <p>{message}</p>
            <time dateTime={createdAt}>{new Date(createdAt).toLocaleTimeString()}</time>
          </li>
        ))}
      </ul>
      {notifications?.length === 0 && <p className="hint">Nothing yet.</p>}
    </section>
  );
}
