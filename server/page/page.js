// The page: a channel's messages, live, and a field to send to it. What comes from the net becomes text,
// never markup.
import { connect } from '/wsbroadcast.js';
import { Rows } from '/wsbroadcast/rows.js';
import { tree } from '/wsbroadcast/json.js';

const MAX_MESSAGES = 100000; // that are kept; the oldest go first
const MAX_SHOWN = 200; // characters of a row
const MAX_FOLDED = 1024 * 1024; // characters of a message that are shown as a tree
const ANNOUNCE = 2000; // milliseconds between two announcements to screen readers

const $ = (id) => document.getElementById(id);
const number = new Intl.NumberFormat('en');
const clock = new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium' });

let feed, state, endpoint = '/ws', detail = {}, all = [], held = [], rate = [], announced = 0;

// ---- texts ----

const size = (bytes) =>
  bytes < 1000 ? `${bytes} B` : bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;

const hex = (buffer, most) =>
  Array.from(new Uint8Array(buffer, 0, Math.min(most, buffer.byteLength)),
    (byte) => byte.toString(16).padStart(2, '0')).join(' ');

const time = (at) => `${clock.format(at)}.${String(at % 1000).padStart(3, '0')}`;

const gapText = ({ missed, refused }) =>
  refused ? 'Messages are missing: the server does not keep them any more'
    : missed ? `${number.format(missed)} ${missed === 1 ? 'message is' : 'messages are'} missing here`
      : 'Messages may be missing here: the server has begun anew, or the connection was lost';

const words = () => {
  if (state === 'open') return detail.via === 'events' ? 'Connected! (event stream: WebSockets are blocked)' : 'Connected!';
  if (state === 'connecting') return detail.attempt > 1 ? `Connecting, attempt ${detail.attempt} …` : 'Connecting …';
  if (state === 'waiting') {
    const seconds = Math.max(0, Math.ceil((detail.at - Date.now()) / 1000));
    return `Disconnected: ${detail.reason}. Next try in ${seconds} s`;
  }
  return state === 'closed' && detail.reason !== 'closed by the page' ? `Refused: ${detail.reason}` : 'Not connected';
};

// ---- rows ----

const part = (name, className, text) => {
  const element = document.createElement(name);
  element.className = className;
  element.textContent = text;
  return element;
};

const render = (entry) => {
  const row = part('div', entry.gap ? 'row gap' : 'row', '');
  row.append(part('time', '', time(entry.at)));
  if (entry.gap) {
    row.append(part('span', 'what', gapText(entry.gap)));
    return row;
  }
  const what = part('span', 'what', '');
  const binary = typeof entry.data !== 'string';
  what.append(part('span', 'label', 'Received: '),
    binary ? hex(entry.data, 32) : entry.data.slice(0, MAX_SHOWN).replace(/[\r\n\t]+/g, ' '));
  row.append(what);
  if (binary) row.append(part('span', 'size', `binary, ${size(entry.data.byteLength)}`));
  return row;
};

const parsed = (text) => {
  if (text.length > MAX_FOLDED || !/^\s*[[{]/.test(text)) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};

const choose = (entry) => {
  const { data, id, at, gap } = entry;
  const value = typeof data === 'string' ? parsed(data) : undefined;
  $('detail').hidden = false;
  $('copy').hidden = Boolean(gap);
  $('about').textContent = [time(at), id, data !== undefined && size(data.byteLength ?? new Blob([data]).size)]
    .filter(Boolean).join(' · ');
  $('body').replaceChildren(gap ? gapText(gap) : value !== undefined ? tree(value)
    : typeof data === 'string' ? data : hex(data, 4096));
};

const rows = new Rows($('list'), render, choose);

// ---- messages ----

const matches = (entry) => {
  const wanted = $('filter').value.toLowerCase();
  return !wanted || entry.gap || (typeof entry.data === 'string' && entry.data.toLowerCase().includes(wanted));
};

const paused = () => $('pause').getAttribute('aria-pressed') === 'true';

const show = (entries) => {
  let dropped = 0;
  for (const entry of entries) {
    all.push(entry);
    if (rows.entries !== all && matches(entry)) rows.entries.push(entry);
  }
  const most = MAX_MESSAGES * 1.05; // dropped in lots: each is a copy of the list
  if (all.length > most) {
    const gone = new Set(rows.entries === all ? [] : all.slice(0, all.length - MAX_MESSAGES));
    dropped = rows.entries === all ? all.length - MAX_MESSAGES : 0;
    all.splice(0, all.length - MAX_MESSAGES);
    while (rows.entries !== all && rows.entries.length > dropped && gone.has(rows.entries[dropped])) dropped++;
    if (rows.entries !== all) rows.entries.splice(0, dropped);
  }
  rows.changed(dropped);
};

const add = (entry) => {
  if (!paused()) return show([entry]);
  held.push(entry);
  if (held.length > MAX_MESSAGES) held.shift();
};

const refilter = () => {
  rows.reset($('filter').value ? all.filter(matches) : all);
  look();
};

/** What is looked at a few times a second, however many messages come. */
const look = () => {
  const now = Date.now();
  while (rate.length && rate[0].at < now - 5000) rate.shift();
  const { count, bytes } = rate.reduce((sum, one) => ({ count: sum.count + one.count, bytes: sum.bytes + one.bytes }), { count: 0, bytes: 0 });
  const shown = rows.entries === all ? '' : `${number.format(rows.entries.length)} of `;
  $('counts').textContent = `${shown}${number.format(all.length)} messages` +
    (held.length ? `, ${number.format(held.length)} held` : '') +
    (count ? ` · ${(count / 5).toFixed(count < 50 ? 1 : 0)}/s · ${size(Math.round(bytes / 5))}/s` : '');
  $('empty').hidden = rows.entries.length > 0;
  $('empty').textContent = all.length ? 'No message has this text.' : 'No messages yet.';
  $('end').hidden = rows.follows || rows.entries.length === 0;
  if ($('words').textContent !== words()) $('words').textContent = words();
};

const count = (bytes) => {
  const at = Math.floor(Date.now() / 250) * 250, last = rate[rate.length - 1];
  if (last?.at === at) {
    last.count++;
    last.bytes += bytes;
  } else rate.push({ at, count: 1, bytes });
};

const onmessage = (data, { id }) => {
  const now = Date.now();
  count(data.byteLength ?? data.length);
  add({ at: now, id, data });
  if (now - announced > ANNOUNCE) {
    announced = now;
    $('heard').textContent = `Received: ${typeof data === 'string' ? data.slice(0, MAX_SHOWN) : 'binary'}`;
  }
};

// ---- the connection ----

const onstate = (now, more) => {
  state = now; // comes before connect() has returned, too
  detail = more;
  const active = state !== 'closed';
  $('state').dataset.state = active || more.reason !== 'closed by the page' ? state : 'idle';
  // The countdown is for the eye: a screen reader is told once.
  $('state').setAttribute('aria-live', state === 'waiting' ? 'off' : 'polite');
  $('connect').textContent = active ? 'Disconnect' : 'Connect to WebSocket';
  $('connect').classList.toggle('primary', !active);
  for (const id of ['text', 'file', 'send']) $(id).disabled = state !== 'open';
  look();
};

const start = () => {
  const { value: channel } = $('channel'), { value: history } = $('history');
  const url = new URL(location.href);
  url.search = url.hash = '';
  url.pathname = endpoint.replace(/\/$/, '') +
    (channel ? '/' + channel.split('/').map(encodeURIComponent).join('/') : '') || '/';
  const query = new URLSearchParams(Object.entries({ channel, history }).filter(([, value]) => value));
  window.history.replaceState(null, '', query.size ? `?${query}` : location.pathname);
  feed = connect(url, {
    since: history === 'all' ? 'all' : history ? Number(history) : undefined,
    token: $('token').value || undefined,
    onmessage,
    onstate,
    ongap: (gap) => add({ at: Date.now(), gap }),
  });
};

$('target').addEventListener('submit', (event) => {
  event.preventDefault();
  if (state && state !== 'closed') feed.close();
  else start();
});

// ---- sending ----

const tell = (text, wrong = false) => {
  $('sent').textContent = text;
  $('sent').classList.toggle('wrong', wrong);
};

const send = async (data, what) => {
  try {
    await feed.send(data);
    tell(what);
  } catch (error) {
    tell(`Not sent: ${error.message}`, true);
  }
};

const fit = () => {
  $('text').style.height = 'auto';
  $('text').style.height = `${$('text').scrollHeight + 2}px`;
};

$('sender').addEventListener('submit', async (event) => {
  event.preventDefault();
  const { value } = $('text');
  if (!value) return;
  $('text').value = '';
  fit();
  await send(value, '');
  $('text').focus();
});
$('text').addEventListener('input', fit);
$('text').addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $('sender').requestSubmit();
});
$('file').addEventListener('change', async () => {
  const [file] = $('file').files;
  if (file) await send(await file.arrayBuffer(), `Sent ${file.name}, ${size(file.size)}`);
  $('file').value = '';
});

// ---- the bar ----

$('filter').addEventListener('input', refilter);
$('pause').addEventListener('click', () => {
  const pauses = !paused();
  $('pause').setAttribute('aria-pressed', pauses);
  if (!pauses) show(held.splice(0));
  look();
});
$('clear').addEventListener('click', () => {
  all = [];
  held = [];
  $('detail').hidden = true;
  refilter();
});
$('end').addEventListener('click', () => { rows.toEnd(); $('list').focus(); });
$('unselect').addEventListener('click', () => { $('detail').hidden = true; $('list').focus(); });

const toText = ({ data }) => (typeof data === 'string' ? data : hex(data, Infinity));

$('copy').addEventListener('click', async () => {
  try {
    await navigator.clipboard.writeText(toText(rows.selected));
    tell('Copied');
  } catch {
    tell('The browser does not let this page copy', true);
  }
});

const toBase64 = (buffer) => {
  let text = '';
  for (const byte of new Uint8Array(buffer)) text += String.fromCharCode(byte);
  return btoa(text);
};

$('save').addEventListener('click', () => {
  const lines = rows.entries.map(({ at, id, data, gap }) => JSON.stringify(
    gap ? { time: new Date(at), gap } : typeof data === 'string' ? { id, time: new Date(at), type: 'text', data }
      : { id, time: new Date(at), type: 'binary', base64: toBase64(data) }) + '\n');
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob(lines, { type: 'application/x-ndjson' }));
  link.download = `messages-${new Date().toISOString().replace(/[:.]/g, '-')}.ndjson`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
});

// ---- the beginning ----

const asked = new URLSearchParams(location.search);
$('channel').value = asked.get('channel') ?? '';
if ([...$('history').options].some(({ value }) => value === asked.get('history'))) $('history').value = asked.get('history');
rows.reset(all);
setInterval(look, 250);
look();
$('connect').disabled = true;
try {
  const answer = await fetch(location.pathname, { method: 'HEAD', headers: { Accept: 'text/html' } });
  endpoint = answer.headers.get('Wsbroadcast-Endpoint') ?? endpoint;
} catch {
  // the server is gone: the endpoint is the usual one, and the state will tell
}
$('connect').disabled = false;
