// Node's `ws` against an echo: sends messages of many sizes, whole and in fragments, and compares
// what comes back. Prints a line of JSON when all is well; else says what is not, and exits 1.
// Usage: node ws_differential.js client URL deflate|plain SEED [CA-FILE]
//        node ws_differential.js server deflate|plain SEED [CERT-FILE KEY-FILE]
'use strict';

const fs = require('fs');
const https = require('https');
const WebSocket = require('ws');

const [role, ...rest] = process.argv.slice(2);
const url = role === 'client' ? rest.shift() : null;
const [compression, seedText, certFile, keyFile] = rest;
const perMessageDeflate = compression === 'deflate' ? { threshold: 0 } : false;

// mulberry32: the same messages for the same seed
let seed = Number(seedText);
function random(below) {
  seed = (seed + 0x6d2b79f5) | 0;
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4294967296) * below);
}

const SIZES = [0, 1, 125, 126, 127, 128, 129, 4096, 65535, 65536, 65537, 1 << 20];

function messages() {
  const all = [];
  for (const size of [...SIZES, ...Array.from({ length: 60 }, () => random(5000))]) {
    const data = Buffer.alloc(size);
    const noisy = random(3) === 0;
    for (let i = 0; i < size; i++) data[i] = noisy ? random(256) : 97 + ((i * 7) % 23);
    all.push({ binary: noisy || random(2) === 0, data });
  }
  return all;
}

function fail(what) {
  console.error(`seed ${seedText}: ${what}`);
  process.exit(1);
}

function drive(socket) {
  const expected = messages();
  const extensions = socket.extensions;
  let heard = 0;
  let pongs = 0;

  socket.on('message', (data, isBinary) => {
    const { binary, data: wanted } = expected[heard];
    if (isBinary !== binary || !wanted.equals(data))
      fail(`message ${heard}: ${data.length} bytes, binary ${isBinary}; not the ${wanted.length}`);
    if (++heard === expected.length) socket.close(1000, 'done');
  });
  socket.on('pong', () => pongs++);
  socket.on('error', (error) => fail(error));
  socket.on('close', (code) => {
    if (heard !== expected.length || pongs === 0) fail(`${heard} messages, ${pongs} pongs`);
    console.log(JSON.stringify({ heard, code, extensions }));
    process.exit(0);
  });

  for (const [i, { binary, data }] of expected.entries()) {
    const pieces = random(2) === 0 ? 1 : 1 + random(9);
    let at = 0;
    for (let piece = 1; piece <= pieces; piece++) {
      const end = piece === pieces ? data.length : at + random(data.length - at + 1);
      socket.send(data.subarray(at, end), { binary, fin: piece === pieces });
      at = end;
    }
    if (i % 10 === 0) socket.ping(`${i}`);
  }
}

if (role === 'client') {
  const ca = certFile ? fs.readFileSync(certFile) : undefined;
  const socket = new WebSocket(url, { perMessageDeflate, ca });
  socket.on('open', () => drive(socket));
  socket.on('error', (error) => fail(error));
} else {
  const options = { host: '127.0.0.1', port: 0 };
  let server;
  if (certFile) {
    const files = { cert: fs.readFileSync(certFile), key: fs.readFileSync(keyFile) };
    server = https.createServer(files).listen(options);
    new WebSocket.Server({ server, perMessageDeflate }).on('connection', drive);
  } else {
    server = new WebSocket.Server({ ...options, perMessageDeflate }).on('connection', drive);
  }
  server.on('listening', () => console.error(`listening on port ${server.address().port}`));
}
