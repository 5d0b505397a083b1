// wsbroadcast.js: a client for wsbroadcastd that misses nothing. No dependencies.
//
//     import { connect } from 'http://127.0.0.1:8000/wsbroadcast.js';
//     const feed = connect('ws://127.0.0.1:8000/ws', { onmessage: (data) => console.log(data) });
//
// The subprotocol id.wsbroadcast puts the event ID before each message, so that the client resumes
// behind the last one it has seen and knows where messages are missing. Where WebSockets are
// blocked it reads an event stream and publishes by POST. The types are in wsbroadcast.d.ts.

const SUBPROTOCOL = 'id.wsbroadcast';
const MIN_DELAY = 500, MAX_DELAY = 30000; // milliseconds between two attempts
const OPEN_TIMEOUT = 10000; // for a handshake, before the event stream is tried
const SILENCE = 90000; // of an event stream, whose heartbeat comes far more often

const parseId = (id) => {
  const match = /^([0-9a-f]+)-(\d+)$/.exec(id ?? '');
  return match && { epoch: match[1], sequence: BigInt(match[2]) };
};

const fromBase64 = (text) =>
  Uint8Array.from(atob(text), (character) => character.charCodeAt(0)).buffer;

/** Splits what comes with id.wsbroadcast: the ID and a newline, then the message. */
const split = (data) => {
  if (typeof data === 'string') {
    const end = data.indexOf('\n');
    return [data.slice(0, end), data.slice(end + 1)];
  }
  const end = new Uint8Array(data).indexOf(10);
  return [new TextDecoder().decode(data.slice(0, end)), data.slice(end + 1)];
};

/** Calls `dispatch({id, type, data})` for each event of a stream (WHATWG HTML, 9.2.6). */
const readEvents = async (reader, dispatch, onretry, onbytes) => {
  const decoder = new TextDecoder();
  let rest = '', id, type = '', data = [];
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    onbytes();
    const lines = (rest + decoder.decode(value, { stream: true })).split('\n');
    rest = lines.pop();
    for (const line of lines) {
      if (line === '') {
        if (id !== undefined || data.length) dispatch({ id, type, data: data.length ? data.join('\n') : undefined });
        id = undefined;
        type = '';
        data = [];
        continue;
      }
      const colon = line.indexOf(':');
      const name = colon < 0 ? line : line.slice(0, colon);
      const text = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
      if (name === 'id') id = text;
      else if (name === 'event') type = text;
      else if (name === 'data') data.push(text);
      else if (name === 'retry' && /^\d+$/.test(text)) onretry(Number(text));
    }
  }
};

class Connection {
  #url; #options; #socket; #abort; #timer; #streaming = false;
  #attempts = 0; #retry = 0; #everOpen = false; #place; #state = 'connecting';

  constructor(url, options) {
    this.#url = new URL(url, globalThis.location?.href);
    this.#url.protocol = this.#url.protocol.replace('http', 'ws');
    this.#url.hash = '';
    this.#options = options;
    if (typeof options.since === 'string' && options.since !== 'all') this.#place = options.since;
    this.online = () => this.#state === 'waiting' && this.#connect();
    globalThis.addEventListener?.('online', this.online);
    this.#connect();
  }

  /** 'connecting', 'open', 'waiting' or 'closed'. */
  get state() { return this.#state; }

  /** The ID of the last message; undefined before the first. Store it, and pass it as `since`. */
  get id() { return this.#place; }

  /** 'websocket' or 'events' while it is open. */
  get via() { return this.#state === 'open' ? (this.#streaming ? 'events' : 'websocket') : undefined; }

  /** Publishes a text, or binary. Resolves when it was handed over; by POST, when it is published. */
  async send(data) {
    if (this.#state !== 'open') throw new Error('not connected');
    if (!this.#streaming) return this.#socket.send(data);
    const type = typeof data === 'string' ? 'text/plain' : 'application/octet-stream';
    const response = await fetch(this.#address('http'), {
      method: 'POST', body: data, headers: this.#headers({ 'Content-Type': type }) });
    if (!response.ok) throw new Error((await response.text()).trim() || `status ${response.status}`);
  }

  /** Ends it for good. */
  close() {
    this.#end();
    this.#set('closed', { reason: 'closed by the page' });
  }

  /** Tries at once, if it waits for the next attempt. */
  retry() { if (this.#state === 'waiting') this.#connect(); }

  #set(state, detail = {}) {
    this.#state = state;
    if (state === 'closed') globalThis.removeEventListener?.('online', this.online);
    this.#options.onstate?.(state, detail);
  }

  #headers(more) {
    const { token } = this.#options;
    return token ? { ...more, Authorization: `Bearer ${token}` } : more;
  }

  #address(scheme, subscribes = false) {
    const url = new URL(this.#url);
    const { since, refuseGap } = this.#options;
    url.protocol = url.protocol.replace(/^(ws|http)/, scheme);
    if (!subscribes) return url;
    if (this.#place) url.searchParams.set('last_event_id', this.#place);
    else if (since === 'all' || typeof since === 'number') url.searchParams.set('history', since);
    if (refuseGap) url.searchParams.set('gap', 'refuse');
    return url;
  }

  /** Lets go of whatever is open or under way. */
  #end() {
    const socket = this.#socket;
    clearTimeout(this.#timer);
    this.#abort?.abort();
    this.#socket = this.#abort = undefined;
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
    }
  }

  #connect() {
    const { token } = this.#options;
    const protocols = token ? [SUBPROTOCOL, `bearer.${token}`] : [SUBPROTOCOL];
    let socket, opened = false;
    this.#end();
    this.#streaming = false;
    this.#set('connecting', { attempt: this.#attempts + 1 });
    try {
      socket = new WebSocket(this.#address('ws', true), protocols);
    } catch (error) {
      this.#set('closed', { reason: error.message });
      return;
    }
    this.#socket = socket;
    this.#timer = setTimeout(() => this.#stream(), OPEN_TIMEOUT);
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => {
      opened = true;
      clearTimeout(this.#timer);
      this.#open();
    };
    socket.onmessage = ({ data }) => {
      this.#attempts = 0;
      if (socket.protocol !== SUBPROTOCOL) return this.#message(undefined, data);
      const [id, message] = split(data);
      this.#message(id, message);
    };
    socket.onclose = ({ code, reason }) => {
      this.#socket = undefined;
      if (!opened) this.#stream();
      else if (code === 1008 && reason === 'gap') this.#refused();
      else this.#wait(reason || (code === 1006 ? 'the connection was lost' : `closed with ${code}`));
    };
  }

  /** No WebSocket came about, and a page is not told why: a request tells. */
  async #stream() {
    this.#end();
    const abort = (this.#abort = new AbortController());
    const watch = () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => abort.abort(), SILENCE);
    };
    let reason = 'the connection was lost';
    try {
      watch();
      const response = await fetch(this.#address('http', true), {
        headers: this.#headers({ Accept: 'text/event-stream' }), cache: 'no-store', signal: abort.signal });
      if (abort !== this.#abort) return;
      if (!response.ok) return await this.#answer(response);
      if (!/^text\/event-stream/.test(response.headers.get('Content-Type')))
        return this.#wait('there is no wsbroadcastd at this address');
      this.#streaming = true;
      this.#open();
      await readEvents(response.body.getReader(), (event) => this.#event(event),
        (retry) => { this.#retry = retry; }, watch);
    } catch (error) {
      reason = this.#state === 'open' ? reason : 'the server cannot be reached';
    }
    if (abort === this.#abort) this.#wait(reason);
  }

  async #answer(response) {
    const why = (await response.text()).trim().split('\n')[0].slice(0, 200) || `status ${response.status}`;
    const after = Number(response.headers.get('Retry-After')) * 1000;
    if (response.status === 410) this.#refused();
    else if (response.status >= 500 || [408, 425, 429].includes(response.status)) this.#wait(why, after);
    else {
      this.#end();
      this.#set('closed', { reason: why, status: response.status });
    }
  }

  #refused() {
    this.#end();
    this.#set('closed', { reason: 'gap' });
    this.#options.ongap?.({ after: this.#place, refused: true });
  }

  #open() {
    const again = this.#everOpen;
    this.#everOpen = true;
    this.#set('open', { via: this.#streaming ? 'events' : 'websocket' });
    if (again && !this.#place) this.#options.ongap?.({}); // nothing was heard: nothing is known
  }

  #wait(reason, atLeast = 0) {
    const most = Math.min(MAX_DELAY, MIN_DELAY * 2 ** ++this.#attempts);
    const jittered = MIN_DELAY / 2 + Math.random() * most;
    const delay = Math.round(Math.max(jittered, atLeast || 0, this.#attempts === 1 ? this.#retry : 0));
    this.#end();
    this.#retry = 0;
    this.#timer = setTimeout(() => this.#connect(), delay);
    this.#set('waiting', { reason, delay, at: Date.now() + delay, attempt: this.#attempts });
  }

  #event({ id, type, data }) {
    if (data !== undefined) {
      this.#attempts = 0;
      this.#message(id, type === 'binary' ? fromBase64(data) : data);
    } else if (this.#place && this.#place !== id) { // where the stream begins
      this.#gap(this.#place, id, false);
      this.#place = id;
    } else if (id) {
      this.#place = id;
    }
  }

  /** `includes`: the message of the ID is there; else it is the one before the first. */
  #gap(after, id, includes) {
    const last = parseId(after), next = parseId(id);
    if (!last || !next) return;
    const missed = next.sequence - last.sequence - (includes ? 1n : 0n);
    if (last.epoch !== next.epoch) this.#options.ongap?.({ after, before: id });
    else if (missed > 0n) this.#options.ongap?.({ after, before: id, missed: Number(missed) });
  }

  #message(id, data) {
    const last = parseId(this.#place), next = parseId(id);
    if (last && next && last.epoch === next.epoch && next.sequence <= last.sequence) return;
    if (this.#place && id) this.#gap(this.#place, id, true);
    if (id) this.#place = id;
    this.#options.onmessage?.(data, { id });
  }
}

/** Connects to a channel, and keeps the connection until close(). */
export const connect = (url, options = {}) => new Connection(url, options);
