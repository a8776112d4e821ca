// The documents of main.js, for relay-compiler alone: it checks them against the schema (Node, connections, PageInfo as
// Relay's specifications have them) and writes what main.js loads. Nothing runs this file.
graphql`
  query documentsTaskListQuery {
    viewer {
      id
      ...documentsTaskList_user
    }
  }
`;

graphql`
  fragment documentsTaskList_user on User
  @refetchable(queryName: "documentsTaskListPageQuery")
  @argumentDefinitions(count: { type: "Int", defaultValue: 2 }, cursor: { type: "Cursor" }) {
    tasks(first: $count, after: $cursor) @connection(key: "documentsTaskList_tasks") {
      edges {
        node {
          id
          ...documentsTask_task
        }
      }
    }
  }
`;

graphql`
  fragment documentsTask_task on Task @refetchable(queryName: "documentsTaskAgainQuery") {
    title
    status
  }
`;

graphql`
  mutation documentsTaskCreateMutation($input: TaskCreateInput!, $connections: [ID!]!) {
    taskCreate(input: $input) {
      task @prependNode(connections: $connections, edgeTypeName: "TaskEdge") {
        id
        ...documentsTask_task
      }
      userErrors {
        message
      }
    }
  }
`;
