// A push service and the browser behind it for the suite (npm `http_ece`): prints a JSON line that says where it is,
// then one for every message that came, and ends with whoever started it. Arguments: none, or a certificate and its key
// (files), and it speaks HTTPS with HTTP/2.
// GET /subscribe?key=<applicationServerKey> is what `pushManager.subscribe` gives: { endpoint, keys }. How messages to
// it are answered is ordered there: `status=500,201` (one after the other, the last for ever), `retryAfter=7`,
// `location=…`, `body=1000` (bytes of the answer), `stall` (it never ends), `hang`, `cut`. GET /seen?endpoint=… gives
// the messages that came, GET /clock?offset=<ms> moves the clock by which tokens are judged.
// It refuses what a push service refuses: no TTL, a token that is not for it or of another key, more than 4096 bytes.
import { createECDH, createPublicKey, randomBytes, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createSecureServer } from 'node:http2';
import ece from 'http_ece';

const [cert, key] = process.argv.slice(2);
/** By path: { browser, auth, key, orders, seen }. */
const subscriptions = new Map();
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
let offset = 0;
let origin;

function subscribe(query) {
  const browser = createECDH('prime256v1');
  const path = `/push/${randomBytes(24).toString('base64url')}`;
  const keys = { p256dh: browser.generateKeys('base64url'), auth: randomBytes(16).toString('base64url') };
  const orders = Object.fromEntries(query);
  subscriptions.set(path, { browser, auth: keys.auth, key: orders.key, orders, seen: [] });
  return { endpoint: origin + path, expirationTime: null, keys };
}

/** What is wrong with the Authorization of a message (RFC 8292), and what it claims. */
function vapid(authorization, expected) {
  const mistakes = [];
  const must = (holds, what) => holds || mistakes.push(what);
  const [, token, k] = /^vapid t=([\w-]+\.[\w-]+\.[\w-]+), k=([\w-]+)$/.exec(authorization ?? '') ?? [];
  if (!token) return { mistakes: ['no token'] };
  const [header, claims] = token.split('.').slice(0, 2).map((part) => JSON.parse(Buffer.from(part, 'base64url')));
  const point = Buffer.from(k, 'base64url');
  must(point.length === 65 && point[0] === 4, 'k is no uncompressed point');
  const [x, y] = [point.subarray(1, 33), point.subarray(33)].map((half) => half.toString('base64url'));
  const publicKey = createPublicKey({ key: { kty: 'EC', crv: 'P-256', x, y }, format: 'jwk' });
  const [signed, signature] = [token.slice(0, token.lastIndexOf('.')), token.slice(token.lastIndexOf('.') + 1)];
  const how = { key: publicKey, dsaEncoding: 'ieee-p1363' };
  must(verify('sha256', Buffer.from(signed), how, Buffer.from(signature, 'base64url')), 'the signature is not of k');
  must(expected === undefined || k === expected, 'k is not the applicationServerKey');
  must(header.alg === 'ES256' && header.typ === 'JWT', 'alg is not ES256');
  must(claims.aud === origin, 'aud is not this origin');
  const seconds = claims.exp - (Date.now() + offset) / 1000;
  must(Number.isInteger(claims.exp) && seconds > 0 && seconds <= 86_400, 'exp is over, or more than a day away');
  must(/^(mailto:|https:)/.test(claims.sub), 'sub names nobody');
  return { claims, token, mistakes };
}

/** What a push service, and then the browser, makes of a message. */
function receive({ browser, auth, key: expected }, headers, body) {
  const { ttl, urgency, topic, authorization } = headers;
  const found = { ttl, urgency, topic, type: headers['content-type'], encoding: headers['content-encoding'] };
  found.bytes = body.length;
  found.vapid = vapid(authorization, expected);
  if (!/^\d+$/.test(ttl ?? '')) return { ...found, refused: 400 };
  if (!/^(very-low|low|normal|high)$/.test(urgency ?? 'normal')) return { ...found, refused: 400 };
  if (!/^[\w-]{1,32}$/.test(topic ?? 'none')) return { ...found, refused: 400 };
  if (found.encoding !== 'aes128gcm') return { ...found, refused: 400 };
  if (found.vapid.mistakes.length) return { ...found, refused: authorization ? 403 : 401 };
  if (body.length > 4096) return { ...found, refused: 413 };
  try {
    const text = ece.decrypt(body, { version: 'aes128gcm', privateKey: browser, authSecret: auth }).toString();
    return { ...found, text };
  } catch (error) {
    return { ...found, refused: 400, mistake: error.message };
  }
}

async function push(req, res, subscription) {
  const chunks = [];
  for await (const chunk of req) chunks.push(chunk);
  const { orders, seen } = subscription;
  const found = receive(subscription, req.headers, Buffer.concat(chunks));
  const ordered = (orders.status ?? '201').split(',');
  const status = found.refused ?? Number(ordered[Math.min(seen.length, ordered.length - 1)]);
  const line = { endpoint: origin + req.url, http: req.httpVersion, status, ...found };
  seen.push(line);
  say(line);
  if ('hang' in orders) return;
  if ('cut' in orders) return (req.stream?.session ?? req.socket).destroy();
  if (orders.retryAfter) res.setHeader('retry-after', orders.retryAfter);
  if (orders.location) res.setHeader('location', orders.location);
  if ('stall' in orders) return res.writeHead(status).write('x');
  res.writeHead(status).end('x'.repeat(Number(orders.body ?? 0)));
}

async function answer(req, res) {
  const at = new URL(req.url, origin);
  const subscription = subscriptions.get(at.pathname);
  if (req.method === 'POST' && subscription) return push(req, res, subscription);
  if (at.pathname === '/subscribe') return res.end(JSON.stringify(subscribe(at.searchParams)));
  if (at.pathname === '/seen') {
    const asked = new URL(at.searchParams.get('endpoint'));
    return res.end(JSON.stringify(subscriptions.get(asked.pathname)?.seen ?? []));
  }
  if (at.pathname === '/clock') {
    offset = Number(at.searchParams.get('offset'));
    return res.end('{}');
  }
  // A subscription that never was.
  return res.writeHead(404).end();
}

const files = () => ({ cert: readFileSync(cert), key: readFileSync(key), allowHTTP1: true });
const server = cert ? createSecureServer(files(), answer) : createServer(answer);
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address();
  origin = cert ? `https://push.example.net:${port}` : `http://127.0.0.1:${port}`;
  say({ port, origin });
});
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
