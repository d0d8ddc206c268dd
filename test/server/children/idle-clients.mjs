// Opens so many connections to a port, says so, and holds them until it is killed: node idle-clients.mjs PORT COUNT

import { once } from 'node:events';
import { connect } from 'node:net';

const [port, count] = process.argv.slice(2).map(Number);
const AT_ONCE = 200;
let lost = 0;
for (let i = 0; i < count; i += AT_ONCE) {
  const sockets = Array.from({ length: Math.min(AT_ONCE, count - i) }, () => connect(port, '127.0.0.1'));
  await Promise.all(sockets.map((socket) => once(socket, 'connect')));
  for (const socket of sockets) socket.on('close', () => lost++);
}
console.log('open');
process.stdin.on('data', () => console.log(`lost ${lost}`));
