// One task: done or not, and when the person is reminded of it. It names the fields that it shows, and gets only those.
import { useMutation } from '@apollo/client/react';
import { type FormEvent, useId, useState } from 'react';

import { type FragmentType, graphql, unmask } from './gql';
import { Problem } from './Problem';

const TASK = graphql(`
  fragment TaskItem_task on Task {
    id
    title
    status
    priority
    reminders(first: 20) {
      nodes {
        id
        scheduledAt
        status
        overdue
      }
    }
  }
`);

const TASK_COMPLETE = graphql(`
  mutation TaskComplete($input: TaskCompleteInput!) {
    taskComplete(input: $input) {
      task {
        ...TaskItem_task
      }
      userErrors {
        message
      }
    }
  }
`);

const TASK_REOPEN = graphql(`
  mutation TaskReopen($input: TaskReopenInput!) {
    taskReopen(input: $input) {
      task {
        ...TaskItem_task
      }
      userErrors {
        message
      }
    }
  }
`);

// The reminder's task comes along, so that the cache knows its list anew.
const REMINDER_CREATE = graphql(`
  mutation ReminderCreate($input: ReminderCreateInput!) {
    reminderCreate(input: $input) {
      reminder {
        id
        task {
          ...TaskItem_task
        }
      }
      userErrors {
        code
        message
      }
    }
  }
`);

const moment = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });

export function TaskItem(props: { task: FragmentType<typeof TASK> }) {
  const task = unmask(TASK, props.task);
  const [complete] = useMutation(TASK_COMPLETE);
  const [reopen] = useMutation(TASK_REOPEN);
  const [adding, setAdding] = useState(false);
  const titleId = useId();
  const done = task.status === 'COMPLETED';
  const toggle = () => {
    const variables = { input: { id: task.id } };
    return done ? reopen({ variables }) : complete({ variables });
  };
  const pending = task.reminders.nodes.filter(({ status }) => status === 'PENDING');
  return (
    <li className="card task" data-done={done}>
      <input type="checkbox" aria-labelledby={titleId} checked={done} onChange={() => void toggle().catch(() => {})} />
      <span id={titleId} className="title">
        {task.title}
      </span>
      {task.priority === 'HIGH' && <span className="pill high">High</span>}
      {pending.map(({ id, scheduledAt, overdue }) => (
        <span key={id} className={overdue ? 'pill late' : 'pill'}>
          Reminder: <time dateTime={scheduledAt}>{moment.format(new Date(scheduledAt))}</time>
        </span>
      ))}
      {!done && (
        <button
          type="button"
          className="quiet"
          aria-expanded={adding}
          aria-describedby={titleId}
          onClick={() => setAdding(!adding)}
        >
          Remind me
        </button>
      )}
      {adding && <ReminderForm taskId={task.id} onDone={() => setAdding(false)} />}
    </li>
  );
}

function ReminderForm({ taskId, onDone }: { taskId: string; onDone: () => void }) {
  const [create, created] = useMutation(REMINDER_CREATE);
  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    // The field gives the local time without a zone; the API takes an instant.
    const local = String(new FormData(event.currentTarget).get('at'));
    const scheduledAt = new Date(local).toISOString();
    const { data } = await create({ variables: { input: { taskId, scheduledAt } } });
    if (data?.reminderCreate.reminder) onDone();
  };
  return (
    <form className="remind" onSubmit={(event) => void submit(event).catch(() => {})}>
      <label>
        Remind me at <input name="at" type="datetime-local" step="1" required autoFocus />
      </label>
      <button type="submit" disabled={created.loading}>
        Set reminder
      </button>
      <Problem userErrors={created.data?.reminderCreate.userErrors} error={created.error} />
    </form>
  );
}
