import { connect } from 'node:net';

// A keep-alive connection that sends ready-made bytes and reads of the answer only its status: what the generator of
// the load does with the processor, the server cannot have.

const HEAD_END = Buffer.from('\r\n\r\n');

export class Connection {
  /** The answer to what was sent: { resolve, reject }; none while the connection is idle. */
  #waiting;
  #received = Buffer.alloc(0);
  /** Bytes of the answer's body that are still to come, once its head was read. */
  #missing = 0;
  #status = 0;

  constructor(port) {
    this.socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.socket.on('data', (bytes) => this.#read(bytes));
    this.socket.on('error', (error) => this.#end(error));
    this.socket.on('close', () => this.#end(new Error('the server closed the connection')));
  }

  get isOpen() {
    return !this.socket.destroyed;
  }

  /** Sends a request and gives the status of its answer. One at a time. */
  send(request) {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.socket.write(request);
    });
  }

  close() {
    this.socket.destroy();
  }

  #read(bytes) {
    if (this.#status === 0) {
      this.#received = this.#received.length === 0 ? bytes : Buffer.concat([this.#received, bytes]);
      const end = this.#received.indexOf(HEAD_END);
      if (end < 0) return;
      const head = this.#received.toString('latin1', 0, end);
      this.#status = Number(head.slice(9, 12));
      this.#missing = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0);
      this.#missing -= this.#received.length - end - HEAD_END.length;
      this.#received = Buffer.alloc(0);
      // As every client does, which a server tells so when it wants to be rid of one.
      if (/^connection: close/im.test(head)) this.socket.end();
    } else {
      this.#missing -= bytes.length;
    }
    if (this.#missing > 0) return;
    const { resolve } = this.#waiting;
    const status = this.#status;
    this.#waiting = undefined;
    this.#status = 0;
    resolve(status);
  }

  #end(error) {
    this.#waiting?.reject(error);
    this.#waiting = undefined;
  }
}
