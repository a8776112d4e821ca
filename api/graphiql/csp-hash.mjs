// Prints the Content-Security-Policy source of each inline script in cdn.html: its import map.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

const html = readFileSync(new URL('cdn.html', import.meta.url), 'utf8').replace(/<!--[^]*?-->/g, '');

for (const [, attributes, text] of html.matchAll(/<script\b([^>]*)>([^]*?)<\/script>/g)) {
  if (!/\ssrc=/.test(attributes)) {
    console.log(`'sha256-${createHash('sha256').update(text).digest('base64')}'`);
  }
}
