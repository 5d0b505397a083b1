// A client on Node's `ws`: says a text and some bytes, prints what it hears as lines of JSON.
// Usage: node ws_client.js URL
'use strict';

const WebSocket = require('ws');

const socket = new WebSocket(process.argv[2]);
const print = (what) => console.log(JSON.stringify(what));
let heard = 0;

socket.on('open', () => {
  socket.send('grüße 🌍');
  socket.send(Buffer.from([0, 255, 10]));
  socket.ping('are you there');
});
socket.on('pong', (data) => {
  print({ pong: data.toString() });
  settle();
});
socket.on('message', (data, isBinary) => {
  print(isBinary ? { binary: [...data] } : { text: data.toString() });
  settle();
});
socket.on('close', (code) => print({ close: code }));
socket.on('error', (error) => {
  console.error(error);
  process.exit(1);
});

function settle() {
  if (++heard === 3) socket.close(1000);
}
