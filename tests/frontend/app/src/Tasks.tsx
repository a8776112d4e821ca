// The task list, a page at a time, and the quick way to add one.
import { useMutation, useQuery } from '@apollo/client/react';
import type { FormEvent } from 'react';

import { graphql } from './gql';
import { Problem } from './Problem';
import { TaskItem } from './TaskItem';

const PAGE = 10;

const TASK_LIST = graphql(`
  query TaskList($first: Int!, $after: Cursor) {
    viewer {
      id
      tasks(first: $first, after: $after) {
        edges {
          node {
            id
            ...TaskItem_task
          }
        }
        pageInfo {
          endCursor
          hasNextPage
        }
      }
    }
  }
`);

const TASK_CREATE = graphql(`
  mutation TaskCreate($input: TaskCreateInput!) {
    taskCreate(input: $input) {
      task {
        id
        ...TaskItem_task
      }
      userErrors {
        code
        message
      }
    }
  }
`);

export function Tasks() {
  const { data, error, loading, fetchMore } = useQuery(TASK_LIST, { variables: { first: PAGE } });
  const tasks = data?.viewer?.tasks;
  return (
    <main>
      <QuickAdd />
      <Problem error={error} />
      <ul className="tasks" aria-label="Tasks">
        {tasks?.edges.map(({ node }) => (
          <TaskItem key={node.id} task={node} />
        ))}
      </ul>
      {tasks?.edges.length === 0 && <p className="hint">Nothing to do. Add your first task above.</p>}
      {tasks?.pageInfo.hasNextPage && (
        <button
          type="button"
          className="quiet wide"
          disabled={loading}
          onClick={() => void fetchMore({ variables: { after: tasks.pageInfo.endCursor } })}
        >
          Load more
        </button>
      )}
    </main>
  );
}

function QuickAdd() {
  const [create, created] = useMutation(TASK_CREATE, {
    // A new task goes to the top, where the list would show it: the newest come first.
    update: (cache, { data }) => {
      const task = data?.taskCreate.task;
      if (!task) return;
      cache.updateQuery({ query: TASK_LIST, variables: { first: PAGE } }, (list) => {
        if (!list?.viewer) return undefined;
        const edges = [{ __typename: 'TaskEdge' as const, node: task }, ...list.viewer.tasks.edges];
        return { viewer: { ...list.viewer, tasks: { ...list.viewer.tasks, edges } } };
      });
    },
  });
  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = event.currentTarget;
    const title = String(new FormData(form).get('title'));
    const { data } = await create({ variables: { input: { title } } });
    if (data?.taskCreate.task) form.reset();
  };
  return (
    <form className="card add" onSubmit={(event) => void submit(event).catch(() => {})}>
      <input
        name="title"
        aria-label="New task"
        placeholder="What is to be done?"
        autoComplete="off"
        required
        onInput={created.reset}
      />
      <button type="submit" disabled={created.loading}>
        Add
      </button>
      <Problem userErrors={created.data?.taskCreate.userErrors} error={created.error} />
    </form>
  );
}
