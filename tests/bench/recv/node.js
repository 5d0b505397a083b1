// Node's ws, printing what wsrecv prints: node node.js URL
'use strict';
const WebSocket = require('ws');
const socket = new WebSocket(process.argv[2], { perMessageDeflate: false });
socket.on('message', (data) => process.stdout.write(`Received: ${data}\n`));
socket.on('error', (error) => { throw error; });
