// The style of schema.graphql, by @graphql-eslint: what is recommended for schemas, and Relay's specifications. A rule
// that is off says why.
import graphql from '@graphql-eslint/eslint-plugin';

const { 'flat/schema-recommended': recommended, 'flat/schema-relay': relay } = graphql.configs;

export default [
  {
    files: ['schema.graphql'],
    plugins: { '@graphql-eslint': graphql },
    languageOptions: { parser: graphql.parser, parserOptions: { graphQLConfig: { schema: 'schema.graphql' } } },
    rules: {
      ...recommended.rules,
      ...relay.rules,
      // More than recommended: everything is described, not types alone. But for the `input` of a mutation, which its
      // type describes, and the arguments of the specification's own directives.
      '@graphql-eslint/require-description': [
        'error',
        {
          types: true,
          FieldDefinition: true,
          InputValueDefinition: true,
          EnumValueDefinition: true,
          DirectiveDefinition: true,
          ignoredSelectors: [
            '[type=InputValueDefinition][name.value=input]',
            '[type=DirectiveDefinition] > [type=InputValueDefinition]',
          ],
        },
      ],
      '@graphql-eslint/input-name': 'error',
      '@graphql-eslint/no-scalar-result-type-on-mutation': 'error',
      '@graphql-eslint/require-deprecation-date': 'error',
      '@graphql-eslint/require-nullable-fields-with-oneof': 'error',
      // What is a list and no connection is short and whole (userErrors, deliveries), or the nodes beside the edges.
      '@graphql-eslint/relay-edge-types': ['error', { listTypeCanWrapOnlyEdgeType: false }],
      // What has no id has no life of its own: the answer to a mutation, a place in a list, an event (it has a cursor),
      // and values that belong to what they are in.
      '@graphql-eslint/strict-id-in-types': [
        'error',
        {
          exceptions: {
            suffixes: ['Payload', 'Connection', 'Edge', 'Event'],
            types: [
              'Analytics',
              'AnalyticsTotals',
              'AttachmentUpload',
              'CategoryShare',
              'DayCount',
              'Delivery',
              'HttpHeader',
              'NotificationBadge',
              'NotificationPreference',
              'PageInfo',
              'QuietHours',
              'RateLimit',
              'SecondFactor',
              'SecondFactorSetup',
              'SeriesBucket',
              'SessionTokens',
              'StorageUse',
              'Streak',
              'TaskCategory',
              'TaskPriorityCounts',
              'TaskStatusCounts',
              'UserError',
              'WeekCount',
            ],
          },
        },
      ],
      // Off: all it finds is User.username, which is a word of its own, and it takes no exceptions.
      '@graphql-eslint/no-typename-prefix': 'off',
    },
  },
];
