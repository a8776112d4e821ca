// A real OpenID provider for the suite (npm `oauth2-mock-server`): prints a JSON line that says where it is, and ends
// with whoever started it. Arguments: the id and the secret of its one client.
// The test is the browser. What is to be vouched for, and how the answer is to cheat, comes with the request to
// /authorize in the header `x-orders`: { "claims": { "sub": "ada", "nonce": null }, "cheat": "alg none" }; null leaves
// a claim out. `/seen?code=…` tells what came for a code, `/rotate` throws its key away for a new one.
import { createHmac, createPrivateKey, createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { createServer } from 'node:http';
import { Events, OAuth2Issuer, OAuth2Service } from 'oauth2-mock-server';

const [clientId, clientSecret] = process.argv.slice(2);
const client = `Basic ${Buffer.from(`${clientId}:${clientSecret}`).toString('base64')}`;
/** By code: { orders, authorize, token, status }. */
const rounds = new Map();
let url, service;

const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
const rs256 = (header, payload, key) => {
  const input = `${part(header)}.${part(payload)}`;
  return `${input}.${sign('sha256', Buffer.from(input), key).toString('base64url')}`;
};
const hs256 = (header, payload, secret) => {
  const input = `${part({ ...header, alg: 'HS256' })}.${part(payload)}`;
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
};
const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 });

/** What becomes of a good id token: `header` and `payload` are its parts, `key` is the key that signed it. */
const forgeries = {
  // No cheat: shows that what is signed here is good as long as nothing is wrong with it.
  'by hand': ({ header, payload, key }) => rs256(header, payload, key),
  'alg none': ({ header, payload }) => `${part({ ...header, alg: 'none' })}.${part(payload)}.`,
  'alg none without kid': ({ payload }) => `${part({ alg: 'none' })}.${part(payload)}.`,
  'alg none with the signature': ({ header, payload, token }) =>
    `${part({ ...header, alg: 'none' })}.${part(payload)}.${token.split('.')[2]}`,
  'HS256 by the client secret': ({ header, payload }) => hs256(header, payload, clientSecret),
  'HS256 by the client secret without kid': ({ payload }) => hs256({}, payload, clientSecret),
  'HS256 by the public key': ({ header, payload, key }) =>
    hs256(header, payload, createPublicKey(key).export({ type: 'spki', format: 'pem' })),
  'another key, same kid': ({ header, payload }) => rs256(header, payload, stranger.privateKey),
  'another key, no kid': ({ header: { kid, ...header }, payload }) => rs256(header, payload, stranger.privateKey),
  'another key that comes along': ({ header, payload }) =>
    rs256({ ...header, jwk: stranger.publicKey.export({ format: 'jwk' }) }, payload, stranger.privateKey),
  'an unknown kid': ({ header, payload, key }) => rs256({ ...header, kid: 'unknown' }, payload, key),
  'an unknown crit': ({ header, payload, key }) => rs256({ ...header, crit: ['x'], x: 1 }, payload, key),
  'another type': ({ header, payload, key }) => rs256({ ...header, typ: 'logout+jwt' }, payload, key),
  // Signed for one person, shown for another.
  'a tampered payload': ({ header, payload, key }) => {
    const signed = rs256(header, { ...payload, sub: 'somebody else' }, key).split('.');
    return [signed[0], part(payload), signed[2]].join('.');
  },
  'a cut signature': ({ token }) => token.slice(0, -10),
  'no signature': ({ token }) => `${token.split('.').slice(0, 2).join('.')}.`,
  'no id token': () => undefined,
  'an empty id token': () => '',
  'the access token as id token': ({ access }) => access,
};

async function makeService() {
  const issuer = new OAuth2Issuer();
  issuer.url = url;
  const key = createPrivateKey({ key: await issuer.keys.generate('RS256'), format: 'jwk' });
  const made = new OAuth2Service(issuer);
  made.on(Events.BeforeAuthorizeRedirect, (redirect, req) => {
    const orders = JSON.parse(req.headers['x-orders'] ?? '{}');
    rounds.set(redirect.url.searchParams.get('code'), { orders, authorize: { ...req.query } });
  });
  made.on(Events.BeforeTokenSigning, (token, req) => {
    // The access token says for whom it is as well: so only the nonce tells it from an id token.
    token.payload.aud ??= clientId;
    for (const [claim, value] of Object.entries(rounds.get(req.body.code).orders.claims ?? {})) {
      if (value === null) delete token.payload[claim];
      else token.payload[claim] = value;
    }
  });
  made.on(Events.BeforeResponse, (response, req) => {
    const { cheat } = rounds.get(req.body.code).orders;
    const token = response.body.id_token;
    const [header, payload] = token.split('.').slice(0, 2).map((text) => JSON.parse(Buffer.from(text, 'base64url')));
    if (cheat === 'a long answer') response.body.padding = 'x'.repeat(1_000_001);
    else if (cheat in forgeries) {
      response.body.id_token = forgeries[cheat]({ header, payload, key, token, access: response.body.access_token });
    } else if (cheat && !(cheat in stops)) throw new Error(`no such cheat: ${cheat}`);
  });
  return made;
}

/** Answers of the token endpoint that hand out nothing. Elsewhere is the same place, where all would be good. */
const stops = {
  'a broken endpoint': [500, {}],
  'an answer that is elsewhere': [307, { location: '/token?elsewhere' }],
};

/** What the library leaves to its user: who asks, and that a code is of this round and good once. */
async function token(req, res, at) {
  const chunks = [];
  for await (const chunk of req) chunks.push(chunk);
  const body = Object.fromEntries(new URLSearchParams(Buffer.concat(chunks).toString()));
  const answer = (status, headers, error) => res.writeHead(status, headers).end(JSON.stringify({ error }));
  const json = { 'content-type': 'application/json' };
  const round = rounds.get(body.code);
  if (req.headers.authorization !== client) return answer(401, json, 'invalid_client');
  if (!round) return answer(400, json, 'invalid_grant');
  const { authorize, orders } = round;
  res.on('finish', () => Object.assign(round, { status: res.statusCode }));
  if (orders.cheat in stops && !at.search) return answer(...stops[orders.cheat], 'server_error');
  const proven = authorize.code_challenge && authorize.code_challenge_method === 'S256' && body.code_verifier;
  const fits = authorize.redirect_uri === body.redirect_uri && authorize.client_id === clientId;
  if (!proven || !fits || round.token) return answer(400, json, 'invalid_grant');
  round.token = body;
  // The library reads it from here, and compares the verifier with the challenge.
  req.body = body;
  return service.requestHandler(req, res);
}

const server = createServer(async (req, res) => {
  const at = new URL(req.url, url);
  if (at.pathname === '/seen') return res.end(JSON.stringify(rounds.get(at.searchParams.get('code')) ?? {}));
  if (at.pathname === '/token') return token(req, res, at);
  if (at.pathname === '/rotate') {
    service = await makeService();
    return res.end();
  }
  return service.requestHandler(req, res);
});
server.listen(0, '127.0.0.1', async () => {
  const { port } = server.address();
  url = `http://127.0.0.1:${port}`;
  service = await makeService();
  process.stdout.write(`${JSON.stringify({ port, issuer: url })}\n`);
});
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
