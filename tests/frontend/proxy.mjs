// A TCP proxy that can be cut: between a page and the server, where a network would break.
// Promise: while it is cut every connection is reset, those that are open and those that come; one that is silenced
// looks open for ever, and nothing passes any more.
import { connect, createServer } from 'node:net';

export class TcpProxy {
  #open = new Set();
  #silent = new WeakSet();
  #cut = false;
  #server;

  constructor(target) {
    this.#server = createServer((near) => {
      if (this.#cut) {
        near.resetAndDestroy();
        return;
      }
      const far = connect({ host: target.hostname, port: Number(target.port), noDelay: true });
      near.setNoDelay(true);
      for (const [socket, other] of [[near, far], [far, near]]) {
        this.#open.add(socket);
        const end = () => {
          this.#open.delete(socket);
          if (!this.#silent.has(socket)) other.destroy();
        };
        socket.on('error', end).on('close', end);
        socket.pipe(other);
      }
    });
  }

  /** Begins on a free port, and gives its address. */
  async listen() {
    await new Promise((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${this.#server.address().port}`;
  }

  /** Resets what is open, and what comes until it is mended. */
  cut() {
    this.#cut = true;
    for (const socket of this.#open) socket.resetAndDestroy();
  }

  /** Lets nothing through on what is open, without a word to either end. */
  silence() {
    for (const socket of this.#open) {
      this.#silent.add(socket);
      socket.unpipe();
      socket.resume();
    }
  }

  mend() {
    this.#cut = false;
  }

  close() {
    this.#server.close();
  }
}
