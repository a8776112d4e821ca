// Relay against a running server, with what relay-compiler made of documents.js: a connection is paged forward through
// `node(id:)`, a mutation adds to it, and a task is fetched anew by its id. With the word `trusted` it sends no document,
// but names those of documents.json, the manifest that relay-compiler wrote and the server was given (TRUSTED_DOCUMENTS).
// Promise: what is shown comes out of Relay's own store; ended by itself within half a minute.
const {
  ConnectionHandler,
  Environment,
  Network,
  RecordSource,
  Store,
  commitMutation,
  createOperationDescriptor,
  fetchQuery,
  getSingularSelector,
} = require('relay-runtime');

const ListQuery = require('./__generated__/documentsTaskListQuery.graphql');
const ListFragment = require('./__generated__/documentsTaskList_user.graphql');
const TaskFragment = require('./__generated__/documentsTask_task.graphql');
const CreateMutation = require('./__generated__/documentsTaskCreateMutation.graphql');
const manifest = require('./documents.json');

const PAGE = 2;
const { connection, fragmentPathInResult, operation: PageQuery } = ListFragment.metadata.refetch;

async function main() {
  const { DOCUMENTS, act, check, newPerson, urlFromCommandLine } = await import('../spacedly.mjs');
  const trusted = process.argv[3] === 'trusted';
  if (trusted) process.argv.pop();
  const url = urlFromCommandLine('relay/main.js');
  const person = await newPerson(url);
  const options = { token: person.token };
  for (const title of ['One', 'Two', 'Three', 'Four', 'Five'].map((word) => `Task ${word}`)) {
    await act(url, DOCUMENTS.taskCreate, { title }, options);
  }
  const environment = environmentOf(url, person, trusted);
  const { viewer } = await fetchQuery(environment, ListQuery, {}).toPromise();

  /** The list as a component would get it: the fragment of the person, out of the store. */
  const listOf = () => {
    const descriptor = createOperationDescriptor(ListQuery, {});
    const user = environment.lookup(descriptor.fragment).data.viewer;
    return environment.lookup(getSingularSelector(ListFragment, user)).data.tasks;
  };
  const taskOf = (reference) => environment.lookup(getSingularSelector(TaskFragment, reference)).data;
  const titles = () => listOf().edges.map(({ node }) => taskOf(node).title);

  check('the first page is there', titles().join() === 'Task Five,Task Four', titles());
  check('forward pages are asked for', connection.forward.count === 'count' && fragmentPathInResult.join() === 'node');
  while (listOf().pageInfo.hasNextPage) {
    const { endCursor } = listOf().pageInfo;
    await fetchQuery(environment, PageQuery, { count: PAGE, cursor: endCursor, id: viewer.id }).toPromise();
  }
  const all = 'Task Five,Task Four,Task Three,Task Two,Task One';
  check('the other pages are joined to it, through node(id:)', titles().join() === all, titles());

  const connectionId = ConnectionHandler.getConnectionID(viewer.id, 'documentsTaskList_tasks');
  await new Promise((onCompleted, onError) => {
    const variables = { input: { title: 'Task Six' }, connections: [connectionId] };
    commitMutation(environment, { mutation: CreateMutation, variables, onCompleted, onError });
  });
  check('a mutation adds to the list', titles().join() === `Task Six,${all}`, titles());

  const first = listOf().edges[0].node;
  await act(url, DOCUMENTS.taskComplete, { id: first.id }, options);
  check('the store keeps what it knew', taskOf(first).status === 'TODO', taskOf(first));
  const AgainQuery = TaskFragment.metadata.refetch.operation;
  await fetchQuery(environment, AgainQuery, { id: first.id }, { fetchPolicy: 'network-only' }).toPromise();
  check('and a task is fetched anew by its id', taskOf(first).status === 'COMPLETED', taskOf(first));
}

/** Relay's environment with a network that sends documents, or only their ids. */
function environmentOf(url, person, trusted) {
  const fetchIt = async ({ id, name }, variables) => {
    const document = trusted ? { documentId: id } : { query: manifest[id] };
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${person.token}` },
      body: JSON.stringify({ ...document, variables, operationName: name }),
    });
    return response.json();
  };
  return new Environment({ network: Network.create(fetchIt), store: new Store(new RecordSource()) });
}

main().then(
  () => process.exit(),
  (error) => {
    console.log(`not ok it goes through to the end (got ${error.stack})`);
    process.exit(1);
  },
);
