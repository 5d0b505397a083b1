/** Types of wsbroadcast.js, the client of wsbroadcastd for pages. */

export type State = 'connecting' | 'open' | 'waiting' | 'closed';

export interface StateDetail {
  /** open: how messages come. */
  via?: 'websocket' | 'events';
  /** waiting: milliseconds until the next attempt, and when that is (as of Date.now()). */
  delay?: number;
  at?: number;
  /** connecting, waiting: attempts since the last message. */
  attempt?: number;
  /** waiting, closed: why, in words. */
  reason?: string;
  /** closed: the status of HTTP with which the server has refused it. */
  status?: number;
}

/** Messages are missing between two IDs; without IDs, some may be. */
export interface Gap {
  after?: string;
  before?: string;
  /** How many; undefined where the server has begun to count anew, or it is not known. */
  missed?: number;
  /** With refuseGap: the connection is closed. Fetch a snapshot, and connect without the ID. */
  refused?: boolean;
}

export interface Options {
  /** Where to begin: the last N messages, 'all' that are kept, or behind an ID. Default: now. */
  since?: number | 'all' | (string & {});
  /** Text is a string, binary an ArrayBuffer. */
  onmessage?(data: string | ArrayBuffer, detail: { id?: string }): void;
  onstate?(state: State, detail: StateDetail): void;
  /** Called before the first message behind the gap. */
  ongap?(gap: Gap): void;
  /** Close instead of going on behind a gap. */
  refuseGap?: boolean;
  /** A bearer token, of letters, digits and -._~+/=; it is sent as a subprotocol or a header. */
  token?: string;
}

export interface Connection {
  readonly state: State;
  readonly id: string | undefined;
  readonly via: 'websocket' | 'events' | undefined;
  /** Rejects while it is not open, and if a POST is refused. */
  send(data: string | ArrayBuffer | ArrayBufferView | Blob): Promise<void>;
  retry(): void;
  close(): void;
}

/** Connects to a channel (ws://, wss://, http:// or https://), and stays connected until close(). */
export function connect(url: string | URL, options?: Options): Connection;
