// Signing in by cookies: nothing that opens the session is ever in the hands of a script.
import { useMutation } from '@apollo/client/react';
import type { FormEvent } from 'react';

import { graphql } from './gql';
import { Problem } from './Problem';

const SESSION_CREATE = graphql(`
  mutation SessionCreate($input: SessionCreateInput!) {
    sessionCreate(input: $input) {
      session {
        id
      }
      challenge {
        id
        method
      }
      userErrors {
        code
        message
      }
    }
  }
`);

const CHALLENGE_COMPLETE = graphql(`
  mutation ChallengeComplete($input: SessionChallengeCompleteInput!) {
    sessionChallengeComplete(input: $input) {
      session {
        id
      }
      userErrors {
        code
        message
      }
    }
  }
`);

/** The fields of a form that is sent. */
function fieldsOf(event: FormEvent<HTMLFormElement>) {
  event.preventDefault();
  const fields = new FormData(event.currentTarget);
  return (name: string) => String(fields.get(name) ?? '');
}

export function SignIn({ onSignedIn }: { onSignedIn: () => void }) {
  const [create, created] = useMutation(SESSION_CREATE);
  const payload = created.data?.sessionCreate;
  if (payload?.challenge) return <Challenge {...payload.challenge} onSignedIn={onSignedIn} />;

  const submit = async (event: FormEvent<HTMLFormElement>) => {
    const field = fieldsOf(event);
    const input = { email: field('email'), password: field('password'), remember: field('remember') === 'on' };
    const { data } = await create({ variables: { input } });
    if (data?.sessionCreate.session) onSignedIn();
  };
  return (
    <main className="narrow">
      <form className="card stack" onSubmit={(event) => void submit(event).catch(() => {})}>
        <h1>Sign in to Spacedly</h1>
        <label>
          Email
          <input name="email" type="email" autoComplete="username" required autoFocus />
        </label>
        <label>
          Password
          <input name="password" type="password" autoComplete="current-password" required />
        </label>
        <label className="choice">
          <input name="remember" type="checkbox" /> Stay signed in on this device
        </label>
        <Problem userErrors={payload?.userErrors} error={created.error} />
        <button type="submit" disabled={created.loading}>
          Sign in
        </button>
      </form>
    </main>
  );
}

/** The second step of an account with a second factor. */
function Challenge({ id, method, onSignedIn }: { id: string; method: string; onSignedIn: () => void }) {
  const [complete, completed] = useMutation(CHALLENGE_COMPLETE);
  const submit = async (event: FormEvent<HTMLFormElement>) => {
    const field = fieldsOf(event);
    const { data } = await complete({ variables: { input: { challengeId: id, code: field('code') } } });
    if (data?.sessionChallengeComplete.session) onSignedIn();
  };
  return (
    <main className="narrow">
      <form className="card stack" onSubmit={(event) => void submit(event).catch(() => {})}>
        <h1>One more step</h1>
        <label>
          {method === 'TOTP' ? 'The code of your authenticator app' : 'The code that we mailed to you'}
          <input name="code" inputMode="numeric" autoComplete="one-time-code" required autoFocus />
        </label>
        <Problem
          userErrors={completed.data?.sessionChallengeComplete.userErrors}
          error={completed.error}
        />
        <button type="submit" disabled={completed.loading}>
          Continue
        </button>
      </form>
    </main>
  );
}
