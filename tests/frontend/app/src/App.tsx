// The app: whoever is not signed in signs in, everybody else sees their tasks and the bell.
import { useMutation, useQuery } from '@apollo/client/react';
import { useEffect } from 'react';

import { Bell } from './Bell';
import { graphql } from './gql';
import { Problem } from './Problem';
import { SignIn } from './SignIn';
import { Tasks } from './Tasks';

const VIEWER = graphql(`
  query Viewer {
    viewer {
      id
      name
    }
  }
`);

const REFRESH = graphql(`
  mutation SessionRefresh {
    sessionRefresh(input: {}) {
      userErrors {
        message
      }
    }
  }
`);

const SIGN_OUT = graphql(`
  mutation SignOut {
    sessionEnd {
      endedSessionId
    }
  }
`);

const DAY_MS = 24 * 60 * 60 * 1_000;

/** Keeps the session for another week, at the start and once a day. The access cookie renews itself meanwhile. */
function useLastingSession(signedIn: boolean) {
  const [refresh] = useMutation(REFRESH);
  useEffect(() => {
    if (!signedIn) return;
    // A failure is no harm: the next request tells whether the session is over.
    const keep = () => void refresh().catch(() => {});
    keep();
    const timer = setInterval(keep, DAY_MS);
    return () => clearInterval(timer);
  }, [refresh, signedIn]);
}

interface Props {
  onPersonChanged: () => void;
}

export function App({ onPersonChanged }: Props) {
  const { data, error, refetch } = useQuery(VIEWER);
  const [signOut] = useMutation(SIGN_OUT);
  const viewer = data?.viewer;
  useLastingSession(Boolean(viewer));
  if (!data) {
    return (
      <main className="narrow">
        {error ? (
          <Problem error={error}>
            <button type="button" onClick={() => void refetch()}>
              Try again
            </button>
          </Problem>
        ) : (
          <p role="status">Loading…</p>
        )}
      </main>
    );
  }
  if (!viewer) return <SignIn onSignedIn={onPersonChanged} />;
  return (
    <>
      <header className="bar">
        <h1>Spacedly</h1>
        <span className="name">{viewer.name}</span>
        <Bell />
        <button type="button" className="quiet" onClick={() => void signOut().then(onPersonChanged, onPersonChanged)}>
          Sign out
        </button>
      </header>
      <Tasks />
    </>
  );
}
