// What changed in schema.graphql since the last release (schema.released.graphql, which only a release replaces), and
// whether the operations that GraphiQL brings fit it.
// Promise: whoever wrote against the last release goes on working. A breaking change is refused, unless what went had
// been deprecated in that release; and that this is so is tried out here first.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

import { CriticalityLevel, DiffRule, diff } from '@graphql-inspector/core';
import { buildSchema, parse, validate } from 'graphql';

import { check } from './spacedly.mjs';

/**
 * The SHA-256 of schema.released.graphql, by the version in Cargo.toml: else a breaking change would pass as soon as both
 * files are changed together. A release adds a line; no line is changed.
 */
const RELEASED = {
  '0.1.0': 'e9d8ca659466f88e613789761d6cc79508a9bd0e31b7533b59f213d8ae9897d7',
};

const textOf = (file) => readFileSync(new URL(file, import.meta.url), 'utf8');
const schemaOf = (file) => buildSchema(textOf(file));

/** What breaks between two schemas, in words. */
async function breaking(released, now) {
  const changes = await diff(released, now, [DiffRule.suppressRemovalOfDeprecatedField]);
  return changes
    .filter(({ criticality }) => criticality.level === CriticalityLevel.Breaking)
    .map(({ message }) => message);
}

/** Between one type and another. */
const between = (before, after) => breaking(buildSchema(before), buildSchema(after));

const CASES = [
  {
    what: 'a field that goes is refused',
    before: 'type Query { a: Int b: Int }',
    after: 'type Query { a: Int }',
    breaks: true,
  },
  {
    what: 'a field that went after its deprecation was released may go',
    before: 'type Query { a: Int b: Int @deprecated(reason: "Use a. Gone after 2027-06-01.") }',
    after: 'type Query { a: Int }',
    breaks: false,
  },
  {
    what: 'an enum value that goes is refused',
    before: 'enum E { A B } type Query { a: E }',
    after: 'enum E { A } type Query { a: E }',
    breaks: true,
  },
  {
    what: 'an enum value that was deprecated may go',
    before: 'enum E { A B @deprecated } type Query { a: E }',
    after: 'enum E { A } type Query { a: E }',
    breaks: false,
  },
  {
    what: 'an input field that goes is refused',
    before: 'input I { x: Int y: Int } type Query { a(i: I): Int }',
    after: 'input I { x: Int } type Query { a(i: I): Int }',
    breaks: true,
  },
  {
    what: 'an input field that was deprecated may go',
    before: 'input I { x: Int y: Int @deprecated } type Query { a(i: I): Int }',
    after: 'input I { x: Int } type Query { a(i: I): Int }',
    breaks: false,
  },
  {
    what: 'an argument that becomes required is refused',
    before: 'type Query { a(x: Int): Int }',
    after: 'type Query { a(x: Int!): Int }',
    breaks: true,
  },
  {
    what: 'a field that becomes nullable is refused',
    before: 'type Query { a: Int! }',
    after: 'type Query { a: Int }',
    breaks: true,
  },
  {
    what: 'a deprecated field may go, but not change',
    before: 'type Query { a: Int b: Int @deprecated }',
    after: 'type Query { a: Int b: String @deprecated }',
    breaks: true,
  },
  {
    what: 'a new field is no break',
    before: 'type Query { a: Int }',
    after: 'type Query { a: Int b: Int }',
    breaks: false,
  },
];

for (const { what, before, after, breaks } of CASES) {
  const found = await between(before, after);
  check(what, found.length > 0 === breaks, found);
}

const [, version] = textOf('../../Cargo.toml').match(/^\[workspace\.package\]\nversion = "([^"]+)"/m);
const digest = createHash('sha256').update(textOf('schema.released.graphql')).digest('hex');
const release =
  'a release, and nothing else, changes it: a new version in Cargo.toml, schema.graphql copied over it below its head,' +
  ' and a line with both in RELEASED of schema.mjs; if this is no release, put it back as it was';
check(
  `schema.released.graphql is the one of ${version}`,
  RELEASED[version] === digest,
  `the SHA-256 ${digest}, where RELEASED says ${RELEASED[version]}: ${release}`,
);
const found = await breaking(schemaOf('schema.released.graphql'), schemaOf('../../schema.graphql'));
check('nothing broke since the last release', found.length === 0, found);

const [, welcome] = textOf('../../api/graphiql/cdn.js').match(/const WELCOME = `([^`]*)`/);
const misfits = validate(schemaOf('../../schema.graphql'), parse(welcome)).map(({ message }) => message);
check('the operations that GraphiQL brings fit the schema', misfits.length === 0, misfits);
