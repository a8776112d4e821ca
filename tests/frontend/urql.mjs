// urql with graphcache, which knows the schema, against a running server: pages in one list, a mutation that changes the
// cached list without asking for it again, and a subscription by fetch, which urql reads as an event stream.
// Promise: what went over the wire is counted; ended by itself within half a minute.
import { Client, fetchExchange, gql } from '@urql/core';
import { cacheExchange } from '@urql/exchange-graphcache';
import { relayPagination } from '@urql/exchange-graphcache/extras';
import { getIntrospectionQuery } from 'graphql';

import { DOCUMENTS, act, ask, check, newPerson, until, urlFromCommandLine, why } from './spacedly.mjs';

const url = urlFromCommandLine('urql.mjs');

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
        title
      }
      userErrors {
        message
      }
    }
  }
`;
const TASK_UPDATE = gql`
  mutation TaskUpdate($input: TaskUpdateInput!) {
    taskUpdate(input: $input) {
      task {
        id
        title
      }
    }
  }
`;
const EVENTS = gql`
  subscription Events {
    notificationEvents {
      cursor
      unreadNotificationCount
    }
  }
`;
const FIRST_PAGE = { query: TASKS, variables: { first: 2 } };

/** A new task on top of the first page. */
function addToList(result, _variables, cache) {
  const { task } = result.taskCreate;
  if (!task) return;
  cache.updateQuery(FIRST_PAGE, (list) => {
    list.viewer.tasks.edges.unshift({ __typename: 'TaskEdge', cursor: task.id, node: task });
    return list;
  });
}

function clientOf(person, schema, sent) {
  const cache = cacheExchange({
    schema,
    resolvers: { User: { tasks: relayPagination() } },
    updates: { Mutation: { taskCreate: addToList } },
    keys: Object.fromEntries(
      schema.__schema.types
        .filter(({ kind, name }) => kind === 'OBJECT' && /(Connection|Edge|Payload|Event|UserError|PageInfo)$/.test(name))
        .map(({ name }) => [name, () => null]),
    ),
  });
  return new Client({
    url,
    exchanges: [cache, fetchExchange],
    fetchSubscriptions: true,
    preferGetMethod: false,
    fetchOptions: { headers: { authorization: `Bearer ${person.token}` } },
    fetch: (address, init) => {
      sent.push(JSON.parse(init.body).operationName);
      return fetch(address, init);
    },
  });
}

async function keepsTheList(client, person, sent) {
  for (const title of ['Task one', 'Task two', 'Task three']) {
    await act(url, DOCUMENTS.taskCreate, { title }, { token: person.token });
  }
  let titles = [];
  const show = ({ data, error }) => {
    if (error) throw error;
    titles = data?.viewer?.tasks.edges.map(({ node }) => node.title) ?? titles;
  };
  const watching = client.query(TASKS, FIRST_PAGE.variables).subscribe(show);
  await until('the first page', () => titles.join() === 'Task three,Task two');
  const { data } = await client.query(TASKS, FIRST_PAGE.variables).toPromise();
  const after = data.viewer.tasks.pageInfo.endCursor;
  await client.query(TASKS, { first: 2, after }).toPromise();
  await until('the second page', () => titles.join() === 'Task three,Task two,Task one');
  check('pages are joined into one list', true);
  sent.length = 0;
  const created = await client.mutation(TASK_CREATE, { input: { title: 'Task four' } }).toPromise();
  await until('the new task', () => titles.join() === 'Task four,Task three,Task two,Task one');
  check('a mutation adds to the cached list', true);
  const { id } = created.data.taskCreate.task;
  await client.mutation(TASK_UPDATE, { input: { id, title: 'Task 4' } }).toPromise();
  await until('the new title', () => titles[0] === 'Task 4');
  check('and another changes what is in it, without asking for the list again', !sent.includes('Tasks'), sent);
  watching.unsubscribe();
}

/** urql's own way of subscribing: by fetch, with an event stream for an answer. */
async function followsByFetch(client, person) {
  const counts = [];
  const failures = [];
  const following = client.subscription(EVENTS, {}).subscribe(({ data, error }) => {
    if (data) counts.push(data.notificationEvents.unreadNotificationCount);
    if (error) failures.push(error.message);
  });
  await until('an event', async () => {
    const { task } = await act(url, DOCUMENTS.taskCreate, { title: 'Something' }, { token: person.token });
    await act(url, DOCUMENTS.taskComplete, { id: task.id }, { token: person.token });
    return until('it', () => counts.length > 0, 2_000).catch(() => false);
  });
  check('a subscription by fetch is told of what happens', failures.length === 0, failures);
  following.unsubscribe();
}

try {
  const person = await newPerson(url);
  const schema = await ask(url, getIntrospectionQuery(), {}, {});
  const sent = [];
  const warnings = [];
  console.warn = (...words) => warnings.push(words.join(' '));
  const client = clientOf(person, schema, sent);
  await keepsTheList(client, person, sent);
  await followsByFetch(client, person);
  check('graphcache has no doubt about what it is given', warnings.length === 0, warnings);
} catch (error) {
  check('it goes through to the end', false, why(error));
}
process.exit();
