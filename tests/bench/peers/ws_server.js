// A broadcast server on Node's ws, for comparison: every text goes to everybody, with the prefix.
// Usage: ws_server.js PORT [deflate]
'use strict';
const { WebSocket, WebSocketServer } = require('ws');

const server = new WebSocketServer({
  host: '127.0.0.1',
  port: Number(process.argv[2]),
  backlog: 4096,
  perMessageDeflate: process.argv[3] === 'deflate' ? { serverNoContextTakeover: true } : false,
});

server.on('connection', (socket) => {
  socket.on('message', (data) => {
    const text = `Message: ${data}`;
    for (const client of server.clients) {
      if (client.readyState === WebSocket.OPEN) client.send(text);
    }
  });
});
