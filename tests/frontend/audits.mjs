// The audits of graphql-http against a running server: does it speak GraphQL over HTTP?
// Promise: a line per audit that is not ok, then a table and one line of JSON with what passed and how many there are,
// by level. A level of which none ran has not passed. Lines and table are kept as audits.txt, too.
import { serverAudits } from 'graphql-http';

import { report, urlFromCommandLine, why } from './spacedly.mjs';

const url = urlFromCommandLine('audits.mjs');

const lines = [];
const say = (line) => {
  console.log(line);
  lines.push(line);
};
const counts = { must: [0, 0], should: [0, 0], may: [0, 0] };
// Each has 5 seconds, all together have a minute: a server that does not answer is known soon enough.
const whole = AbortSignal.timeout(60_000);
const fetchFn = (input, init) => {
  const signal = AbortSignal.any([whole, AbortSignal.timeout(5_000)]);
  return fetch(input, { ...init, signal });
};

for (const audit of serverAudits({ url, fetchFn })) {
  const level = audit.name.match(/^(MUST|SHOULD|MAY)\b/)?.[0].toLowerCase();
  if (!level) throw new Error(`the audit ${audit.id} has no level: ${audit.name}`);
  const result = await audit.fn().catch((error) => ({ status: 'fatal', reason: why(error) }));
  counts[level][1] += 1;
  if (result.status === 'ok') {
    counts[level][0] += 1;
  } else {
    const status = result.response ? ` (status ${result.response.status})` : '';
    say(`not ok ${audit.id} ${audit.name}: ${result.reason}${status}`);
  }
}

for (const [level, [ok, total]] of Object.entries(counts)) {
  say(`${level.toUpperCase().padEnd(6)}  ${String(ok).padStart(3)} of ${String(total).padStart(3)} ok`);
  if (total === 0) say(`not ok there is no audit of the level ${level}: graphql-http has changed`);
}
report('audits.txt', lines.join('\n'));
console.log(JSON.stringify(counts));
const failed = ([ok, total]) => ok < total;
const absent = Object.values(counts).some(([, total]) => total === 0);
process.exitCode = failed(counts.must) || failed(counts.should) || absent ? 1 : 0;
