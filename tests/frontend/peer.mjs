// A bare WebSocket whose every message is kept and looked at.
// Promise: a wait ends when what it waits for is there, when the socket closes, or when its time is over, and then it
// says what came instead.
import { isDeepStrictEqual } from 'node:util';

import { validateMessage } from 'graphql-ws';
import WebSocket from 'ws';

export const PROTOCOL = 'graphql-transport-ws';

/** How long to wait for an answer. */
const PATIENCE_MS = 3_000;

/** What came instead of what was to come. */
export class Got extends Error {}

/** What servers sent that has not the form of the protocol, in words. */
export const malformed = [];

/** Every close that was looked at: what was to come, what came, and in which case. */
export const closes = [];

const short = (value) => {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.length > 300 ? `${text.slice(0, 300)}…` : text;
};

export class Peer {
  /** What has come and was not taken yet. */
  inbox = [];
  /** The HTTP status of a refused handshake, or undefined. */
  refused;
  /** The close, or undefined. */
  closed;
  #socket;
  #watchers = new Set();
  /** By id: `open`, `left` (by us) or `over` (by the server). */
  #operations = new Map();

  /** Protocols are offered as ws offers them; `header` writes the header itself, so that ws accepts any answer. */
  constructor(url, { protocols = [PROTOCOL], header, origin } = {}) {
    const headers = header === undefined ? {} : { 'Sec-WebSocket-Protocol': header };
    const options = { headers, origin, perMessageDeflate: false, closeTimeout: 1_000, handshakeTimeout: PATIENCE_MS };
    this.#socket = new WebSocket(url, protocols, options);
    this.#socket.on('open', () => this.#tell());
    this.#socket.on('message', (data, isBinary) => this.#hear(data, isBinary));
    this.#socket.on('error', (error) => (this.trouble = error.message));
    this.#socket.on('pong', (data) => this.#keep({ type: 'a WebSocket pong', payload: String(data) }));
    this.#socket.on('unexpected-response', (request, response) => {
      this.refused = response.statusCode;
      request.destroy();
      this.#tell();
    });
    this.#socket.on('close', (code, reason) => {
      this.closed = { code, reason: String(reason) };
      this.#tell();
    });
  }

  get subprotocol() {
    return this.#socket.protocol;
  }

  /** Waits for the handshake. */
  async opened() {
    await this.#until(() => (this.#socket.readyState === WebSocket.OPEN ? true : undefined), 'the handshake');
    return this;
  }

  /** Waits for the handshake to be refused, and gives its status. */
  async refusal() {
    const settled = () => this.refused ?? (this.#socket.readyState === WebSocket.OPEN ? 'an open socket' : undefined);
    return this.#until(settled, 'the refusal');
  }

  /** Sends a message: an object as JSON, a string as text, a buffer as a binary message. */
  send(message) {
    if (message?.type === 'subscribe' && typeof message.id === 'string') this.#operations.set(message.id, 'open');
    if (message?.type === 'complete') this.#operations.set(message.id, 'left');
    const raw = typeof message === 'string' || Buffer.isBuffer(message);
    this.#socket.send(raw ? message : JSON.stringify(message));
  }

  /** Sends one message in several frames. */
  sendInFrames(parts) {
    parts.forEach((part, index) => this.#socket.send(part, { fin: index === parts.length - 1 }));
  }

  /** Begins an operation under an id. */
  subscribe(id, query, rest = {}) {
    this.send({ id, type: 'subscribe', payload: { query, ...rest } });
  }

  /** Sends a ping of WebSocket itself. */
  pingBelow(data) {
    this.#socket.ping(data);
  }

  /** Closes from this side. */
  close(code) {
    this.#socket.close(code);
  }

  /** Takes the first message that fits out of the inbox, waiting for it. */
  async take(what, fits, ms = PATIENCE_MS) {
    const find = () => {
      const index = this.inbox.findIndex(fits);
      return index < 0 ? undefined : this.inbox.splice(index, 1)[0];
    };
    return this.#until(find, what, ms);
  }

  /** Takes a message of this type, for this id where one is given. */
  async message(type, id) {
    const named = id === undefined ? type : `${type} for ${JSON.stringify(id)}`;
    return this.take(named, (message) => message.type === type && message.id === id);
  }

  /** Says `connection_init` and waits for the acknowledgement. */
  async join(payload) {
    this.send({ type: 'connection_init', ...(payload === undefined ? {} : { payload }) });
    await this.message('connection_ack');
    return this;
  }

  /** A ping and its pong: what was sent before has been read, and the socket goes on. */
  async goesOn() {
    const payload = { mark: Math.random() };
    this.send({ type: 'ping', payload });
    await this.take('pong', (message) => message.type === 'pong' && isDeepStrictEqual(message.payload, payload));
  }

  /** Waits until this operation is answered with one `next` and a `complete`, in this order, and gives the answer, after a look at its cost. */
  async answer(id) {
    const mine = (message) => message.id === id;
    const next = await this.take(`next for ${JSON.stringify(id)}`, mine);
    if (next.type !== 'next') throw new Got(short(next));
    const complete = await this.take(`complete for ${JSON.stringify(id)}`, mine);
    if (complete.type !== 'complete') throw new Got(short(complete));
    const { extensions, ...answer } = next.payload;
    if (!(extensions?.cost >= 1)) throw new Got(short(next));
    return answer;
  }

  /** That nothing for this id is in the inbox. */
  nothingFor(id) {
    const left = this.inbox.filter((message) => message.id === id);
    if (left.length > 0) throw new Got(short(left));
  }

  /** Waits for the close, and demands one of these codes. */
  async closesWith(expected, sentence, ms = PATIENCE_MS) {
    const codes = [expected].flat();
    const row = { expected: codes.join(' or '), got: 'none', reason: '', sentence };
    closes.push(row);
    const { code, reason } = await this.#until(() => this.closed, 'close', ms);
    Object.assign(row, { got: code, reason });
    if (!codes.includes(code)) throw new Got(`close ${code} ${reason}${this.trouble ? `, ${this.trouble}` : ''}`);
    return { code, reason };
  }

  /** Cuts the connection. */
  end() {
    this.#socket.terminate();
  }

  #hear(data, isBinary) {
    const text = String(data);
    if (isBinary) malformed.push(`a binary message: ${short(text)}`);
    let message;
    try {
      message = validateMessage(JSON.parse(text));
      const extra = Object.keys(message).filter((name) => !['id', 'type', 'payload'].includes(name));
      if (extra.length > 0) malformed.push(`a message with ${extra}: ${short(text)}`);
    } catch (error) {
      malformed.push(`${error.message}: ${short(text)}`);
      message ??= { type: 'not a message', text };
    }
    this.#follow(message);
    this.#keep(message);
  }

  /** Sees that nothing comes for an id that stands for nothing any more. */
  #follow({ type, id }) {
    if (id === undefined) return;
    const state = this.#operations.get(id);
    if (state === undefined) malformed.push(`${type} for the id ${short(id)}, which was never used`);
    if (state === 'over') malformed.push(`${type} for the id ${short(id)} after its end`);
    if (type !== 'next' && state !== 'left') this.#operations.set(id, 'over');
  }

  #keep(message) {
    this.inbox.push(message);
    this.#tell();
  }

  #tell() {
    for (const watcher of this.#watchers) watcher();
  }

  #until(look, what, ms = PATIENCE_MS) {
    return new Promise((resolve, reject) => {
      const settle = (end) => {
        clearTimeout(timer);
        this.#watchers.delete(watcher);
        end();
      };
      const instead = (lead) => {
        const inbox = this.inbox.length > 0 ? `, and ${short(this.inbox)}` : '';
        return new Got(`${lead} instead of ${what}${inbox}`);
      };
      const watcher = () => {
        const found = look();
        if (found !== undefined) return settle(() => resolve(found));
        if (this.refused !== undefined) return settle(() => reject(instead(`status ${this.refused}`)));
        if (this.closed === undefined) return undefined;
        const close = `close ${this.closed.code} ${this.closed.reason}${this.trouble ? `, ${this.trouble},` : ''}`;
        return settle(() => reject(instead(close)));
      };
      const timer = setTimeout(() => settle(() => reject(instead(`nothing within ${ms} ms`))), ms);
      this.#watchers.add(watcher);
      watcher();
    });
  }
}
