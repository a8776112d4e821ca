// Makes the types of every document in src from the committed schema: no running server is needed.
import type { CodegenConfig } from '@graphql-codegen/cli';

const config: CodegenConfig = {
  schema: '../../schema.graphql',
  documents: 'app/src/**/*.{ts,tsx}',
  generates: {
    'app/src/gql/': {
      preset: 'client',
      // `useFragment` is no hook, whatever its name says; this one says what it does.
      presetConfig: { fragmentMasking: { unmaskFunctionName: 'unmask' } },
      config: {
        // Every scalar of ours travels as text, but for what is uploaded.
        defaultScalarType: 'string',
        scalars: { Upload: 'Blob' },
        enumsAsTypes: true,
        useTypeImports: true,
      },
    },
  },
};

export default config;
