// Where the app begins: one client for each person, so that nothing of one is left in the cache for the next.
import { ApolloProvider } from '@apollo/client/react';
import { StrictMode, useCallback, useMemo, useState } from 'react';
import { createRoot } from 'react-dom/client';

import { connect } from './api';
import { App } from './App';
import './style.css';

function Root() {
  const [person, setPerson] = useState(0);
  const changePerson = useCallback(() => setPerson((number) => number + 1), []);
  const client = useMemo(() => connect(changePerson), [changePerson, person]);
  return (
    <ApolloProvider client={client} key={person}>
      <App onPersonChanged={changePerson} />
    </ApolloProvider>
  );
}

const root = document.getElementById('app');
if (!root) throw new Error('index.html has no #app');
createRoot(root).render(
  <StrictMode>
    <Root />
  </StrictMode>,
);
