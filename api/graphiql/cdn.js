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

const WELCOME = `# Welcome to Spacedly. The arrow runs these
# operations; Ctrl-Enter runs the one that the
# cursor is in, Ctrl-Space completes.
#
# To sign in:
# 1. No account yet? Run Register. The code
#    comes by mail; in development the mail is
#    caught: open /dev/mailbox in another tab.
#    Run Verify with the id and the code.
# 2. Later, run SignIn (sessionCreate), which
#    asks for tokens instead of cookies.
# 3. Put the access token into Headers, below:
#    {"authorization": "Bearer …"}
#    It is good for 15 minutes.

query Me {
  viewer {
    name
    unreadNotificationCount
  }
}

mutation Register {
  accountRegister(
    input: {
      name: "Ada"
      email: "ada@example.org"
      password: "correct horse battery"
    }
  ) {
    registration { id }
    userErrors { message }
  }
}

mutation Verify {
  accountVerifyEmail(
    input: {
      registrationId: "registration_…"
      code: "000000"
      transport: TOKENS
    }
  ) {
    tokens { accessToken }
    userErrors { message }
  }
}

mutation SignIn {
  sessionCreate(
    input: {
      email: "ada@example.org"
      password: "correct horse battery"
      transport: TOKENS
    }
  ) {
    tokens { accessToken }
    userErrors { message }
  }
}

# Subscriptions send the header too. Completing a
# task makes a notification.
subscription Live {
  notificationEvents {
    kind
    unreadNotificationCount
    notification { title }
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
