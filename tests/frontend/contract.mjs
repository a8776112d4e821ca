// The introspection of a running server, asked for as graphql@16 can at most, against the committed schema file.
// Promise: what tools learn from the server and what they read in schema.graphql is the same, to the letter.
import { readFileSync } from 'node:fs';

import {
  buildClientSchema,
  buildSchema,
  getIntrospectionQuery,
  lexicographicSortSchema,
  printSchema,
  validateSchema,
} from 'graphql';

import { ask, check, urlFromCommandLine, why } from './spacedly.mjs';

const url = urlFromCommandLine('contract.mjs');
const EVERYTHING = {
  descriptions: true,
  specifiedByUrl: true,
  directiveIsRepeatable: true,
  schemaDescription: true,
  inputValueDeprecation: true,
  oneOf: true,
};
const sorted = (schema) => printSchema(lexicographicSortSchema(schema)).split('\n');

try {
  const plain = buildClientSchema(await ask(url, getIntrospectionQuery()));
  check('the introspection query of graphql@16 passes', validateSchema(plain).length === 0);
  const answer = await ask(url, getIntrospectionQuery(EVERYTHING));
  // async-graphql tells the words about the type __Schema as those about the schema itself, which has none.
  delete answer.__schema.description;
  const told = buildClientSchema(answer);
  const mistakes = validateSchema(told).map(({ message }) => message);
  check('with every option too', mistakes.length === 0, mistakes);
  const file = buildSchema(readFileSync(new URL('../../schema.graphql', import.meta.url), 'utf8'));
  const [ours, theirs] = [sorted(told), sorted(file)];
  const at = ours.findIndex((line, index) => line !== theirs[index]);
  const same = at < 0 && ours.length === theirs.length;
  check('what it tells is schema.graphql', same, `line ${at + 1}: ${ours[at]} instead of ${theirs[at]}`);
} catch (error) {
  check('it goes through to the end', false, why(error));
}
