// What went wrong, in words for the person: what they can mend themselves (userErrors), or what they cannot (error).
import type { ReactNode } from 'react';

interface Props {
  /** Of a payload: what the person can mend. */
  userErrors?: readonly { message: string }[] | undefined;
  /** Of the request: it did not get through. */
  error?: { message: string } | undefined;
  children?: ReactNode;
}

export function Problem({ userErrors = [], error, children }: Props) {
  const messages = [...userErrors, ...(error ? [error] : [])].map(({ message }) => message);
  if (messages.length === 0) return null;
  return (
    <div role="alert" className="problem">
      {messages.map((message) => (
        <p key={message}>{message}</p>
      ))}
      {children}
    </div>
  );
}
