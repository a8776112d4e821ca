// The GraphiQL page. The bundle takes it in through src/main.js; the CDN build (cdn.html) loads this
// file as it is, and an import map says where the packages come from. So: no JSX, and only packages
// that the import map names.
import { createElement } from 'react';
import { createRoot } from 'react-dom/client';
import { GraphiQL, HISTORY_PLUGIN } from 'graphiql';
import { explorerPlugin } from '@graphiql/plugin-explorer';
import { createGraphiQLFetcher } from '@graphiql/toolkit';
import { createClient } from 'graphql-ws';

// The bundle has set its workers up by now. The CDN has a factory of each, under these names.
globalThis.MonacoEnvironment ??= {
  async getWorker(_id, label) {
    const name = label === 'graphql' || label === 'json' ? label : 'editor';
    const worker = await import(/* @vite-ignore */ `worker/${name}`);
    return worker.default();
  },
};

const HTTP_URL = new URL('/graphql', location.origin).href;
const WS_URL = HTTP_URL.replace(/^http/, 'ws');

const WELCOME = `# Welcome to Spacedly. To get a session:
#
# 1. accountRegister
#      makes an account, and mails a code;
#      in development the letter is
#      at /dev/mailbox: open it in a tab.
# 2. accountVerifyEmail
#      takes the code.
# 3. sessionCreate
#      signs in: ask it for the tokens.
# 4. Put the access token into Headers:
#      {"authorization": "Bearer …"}
#
# Subscriptions send that header too.
# Ctrl-Enter runs, Ctrl-Space completes.

query {
  viewer {
    name
  }
}
`;

async function fetchWithCookies(url, init) {
  const response = await fetch(url, { ...init, credentials: 'include' });
  if (!response.headers.get('content-type')?.includes('json')) {
    const body = (await response.text()).slice(0, 500);
    throw new Error(`HTTP ${response.status} ${response.statusText}: ${body}`);
  }
  return response;
}

function authorizationOf(headers = {}) {
  const entry = Object.entries(headers).find(([name]) => name.toLowerCase() === 'authorization');
  return entry?.[1];
}

// A fetcher per request: a lazy client costs nothing until a subscription opens it, and each
// connection then takes the header as it stands at that moment.
function fetcher(params, options) {
  const authorization = authorizationOf(options?.headers);
  return createGraphiQLFetcher({
    url: HTTP_URL,
    headers: { accept: 'application/graphql-response+json, application/json' },
    fetch: fetchWithCookies,
    enableIncrementalDelivery: false,
    wsClient: createClient({
      url: WS_URL,
      lazy: true,
      // A refusal is to be seen at once.
      retryAttempts: 0,
      connectionParams: authorization ? { authorization } : undefined,
    }),
  })(params, options);
}

const page = createElement(
  GraphiQL,
  {
    fetcher,
    plugins: [HISTORY_PLUGIN, explorerPlugin()],
    defaultQuery: WELCOME,
    defaultHeaders: '{}',
    defaultEditorToolsVisibility: 'headers',
    isHeadersEditorEnabled: true,
  },
  createElement(GraphiQL.Logo, null, 'Spacedly'),
);

createRoot(document.getElementById('graphiql')).render(page);
