// The operator's dashboard: asks the admin listener for its metrics, channels and connections. What
// clients have named becomes text, never markup.

const EVERY = 2000; // ms
const MAX_SAMPLES = 1800; // an hour
const PAGE = 100; // rows of a table

const $ = (id) => document.getElementById(id);
const whole = new Intl.NumberFormat('en');
const number = (value) => (value < 100 ? String(Math.round(value * 10) / 10) : whole.format(Math.round(value)));

const bytes = (value) => {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024;
  return `${value.toFixed(unit > 0 && value < 100 ? 1 : 0)} ${units[unit]}`;
};

const seconds = (value) => (value < 1 ? `${number(value * 1000)} ms` : `${number(value)} s`);

// ---- metrics (Prometheus' text format) ----

/** A map of families: name to a list of { labels, value }. */
const parse = (text) => {
  const families = new Map();
  for (const line of text.split('\n')) {
    const found = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (!found) continue;
    if (!families.has(found[1])) families.set(found[1], []);
    families.get(found[1]).push({ labels: found[2] ?? '', value: Number(found[3]) });
  }
  return families;
};

const sum = (families, name) =>
  (families.get(name.includes('process_') ? name : `wsbroadcastd_${name}`) ?? []).reduce((all, { value }) => all + value, 0);

/** Of a histogram, what has come since `before`: the bound below which 99 of 100 are; null if none came. */
const percentile = (now, before, name) => {
  const buckets = (families) => {
    const totals = new Map();
    for (const { labels, value } of families.get(`wsbroadcastd_${name}_bucket`) ?? []) {
      const bound = /le="([^"]+)"/.exec(labels)[1];
      totals.set(bound, (totals.get(bound) ?? 0) + value);
    }
    return totals;
  };
  const old = buckets(before);
  const fresh = [...buckets(now)].map(([bound, total]) => [Number(bound.replace('+Inf', 'Infinity')), total - (old.get(bound) ?? 0)]);
  const all = fresh.length ? fresh[fresh.length - 1][1] : 0;
  if (all <= 0) return null;
  const bound = fresh.find(([, total]) => total >= all * 0.99)[0];
  return Number.isFinite(bound) ? bound : fresh[fresh.length - 2][0];
};

// ---- charts ----

const gauge = (name) => (now) => sum(now, name);
const rate = (name) => (now, before, elapsed) => Math.max(0, (sum(now, name) - sum(before, name)) / elapsed);
const p99 = (name) => (now, before) => percentile(now, before, name);

const charts = [
  ['Connections', gauge('connections'), number],
  ['Messages in, per second', rate('messages_received_total'), number],
  ['Deliveries per second', rate('deliveries_total'), number],
  ['Bytes in, per second', rate('received_bytes_total'), bytes],
  ['Bytes out, per second', rate('sent_bytes_total'), bytes],
  ['Stalled subscribers', gauge('stalled_subscribers'), number],
  ['Worst lag', gauge('worst_lag_bytes'), bytes],
  ['Slow subscribers, per second', rate('slow_subscribers_total'), number],
  ['Limits hit, per second', rate('limit_hits_total'), number],
  ['Publish latency, 99th percentile', p99('publish_latency_seconds'), seconds],
  ['Loop turn, 99th percentile', p99('turn_duration_seconds'), seconds],
  ['Memory for clients', gauge('memory_bytes'), bytes],
  ['Memory of the process', gauge('process_resident_memory_bytes'), bytes],
  ['CPU, 100 % is one', rate('process_cpu_seconds_total'), (value) => `${number(value * 100)} %`],
].map(([title, read, write]) => {
  const box = document.createElement('article'), heading = document.createElement('h3');
  const value = document.createElement('span'), most = document.createElement('span');
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  const path = document.createElementNS('http://www.w3.org/2000/svg', 'path');
  heading.textContent = title;
  value.className = 'value';
  value.textContent = '–';
  most.className = 'most';
  svg.setAttribute('viewBox', `0 0 ${MAX_SAMPLES} 100`);
  svg.setAttribute('preserveAspectRatio', 'none');
  svg.setAttribute('role', 'img');
  svg.setAttribute('aria-label', title);
  svg.append(path);
  box.append(heading, most, value, svg);
  $('charts').append(box);
  return { title, read, write, value, most, svg, path, samples: [] };
});

const draw = ({ title, write, value, most, svg, path, samples }) => {
  const present = samples.filter((one) => one !== null);
  const last = samples[samples.length - 1];
  const top = present.reduce((a, b) => Math.max(a, b), 0), span = Math.max(30, samples.length - 1);
  let line = '', pen = false;
  samples.forEach((one, index) => {
    if (one !== null) {
      const x = MAX_SAMPLES - ((samples.length - 1 - index) / span) * MAX_SAMPLES;
      line += `${pen ? 'L' : 'M'}${x.toFixed(0)} ${(97 - (top ? (one / top) * 94 : 0)).toFixed(1)}`;
    }
    pen = one !== null;
  });
  path.setAttribute('d', line);
  value.textContent = last === null ? '–' : write(last);
  most.textContent = present.length ? `max. ${write(top)}` : '';
  svg.setAttribute('aria-label', `${title}: ${value.textContent} now, ${write(top)} at most`);
};

// ---- requests ----

let token = '', last = null, after = '', next = null, asked = 0;

const ask = async (target, method = 'GET') => {
  const answer = await fetch(target, {
    method, cache: 'no-store', headers: token ? { Authorization: `Bearer ${token}` } : {},
    signal: AbortSignal.timeout(10000),
  });
  const text = await answer.text();
  if (answer.status === 401) $('login').hidden = false;
  if (!answer.ok) throw new Error(text.trim() || `status ${answer.status}`);
  return text;
};

const tell = (text, wrong = false) => {
  if ($('state').textContent !== text) $('state').textContent = text;
  $('state').classList.toggle('wrong', wrong);
};

const showMetrics = (families, at) => {
  const elapsed = last ? (at - last.at) / 1000 : 0;
  for (const chart of charts) {
    // A server that has begun anew counts from zero: no rate can be said for that moment.
    const fresh = last && sum(families, 'process_start_time_seconds') === sum(last.families, 'process_start_time_seconds');
    chart.samples.push(fresh ? chart.read(families, last.families, elapsed) : null);
    if (chart.samples.length > MAX_SAMPLES) chart.samples.shift();
    draw(chart);
  }
  const [build] = families.get('wsbroadcastd_build_info') ?? [];
  $('version').textContent = /version="([^"]*)"/.exec(build?.labels ?? '')?.[1] ?? '';
  last = { families, at };
};

// ---- tables ----

/** `cells` are texts, or elements. */
const row = (cells, numbers) => {
  const tr = document.createElement('tr');
  cells.forEach((cell, index) => {
    const td = tr.insertCell();
    td.append(cell);
    if (typeof cell === 'string') td.title = cell;
    if (numbers.includes(index)) td.className = 'number';
  });
  return tr;
};

const showChannels = ({ channels, next: more }) => {
  channels.sort((a, b) => b.subscribers - a.subscribers);
  $('channels').replaceChildren(...channels.slice(0, PAGE).map((one) => row(
    [one.channel || '(default)', whole.format(one.subscribers), whole.format(one.messages), bytes(one.bytes)], [1, 2, 3])));
  $('channels-more').textContent = more !== null || channels.length > PAGE
    ? `The ${PAGE} with the most subscribers${more !== null ? ' of the first 1,000 by name' : ''}.` : '';
};

const end = async (id, address) => {
  if (!confirm(`End connection ${id} from ${address}?`)) return;
  try {
    await ask(`/connections/${id}`, 'DELETE');
    $('done').textContent = `Connection ${id} was ended.`;
  } catch (error) {
    $('done').textContent = `Connection ${id} was not ended: ${error.message}`;
  }
  await refresh();
};

const showConnections = ({ connections, next: more }) => {
  const focused = document.activeElement?.dataset?.id;
  next = more;
  $('next').disabled = more === null && !after;
  $('next').textContent = more === null && after ? 'First page' : 'Next page';
  $('connections').replaceChildren(...connections.map((one) => {
    const button = document.createElement('button');
    button.textContent = 'End';
    button.dataset.id = one.id;
    button.setAttribute('aria-label', `End connection ${one.id}`);
    button.addEventListener('click', () => end(one.id, one.address));
    return row([String(one.id), one.address, one.user ?? '', one.transport, one.channel === '' ? '(default)' : one.channel ?? '',
      new Date(one.since * 1000).toLocaleString(), whole.format(one.messages_in), whole.format(one.messages_out),
      bytes(one.lag_bytes), one.round_trip_ms === null ? '' : `${number(one.round_trip_ms)} ms`, button], [6, 7, 8, 9]);
  }));
  if (focused) document.querySelector(`button[data-id="${focused}"]`)?.focus();
};

const refresh = async () => {
  const query = new URLSearchParams({ limit: PAGE });
  for (const name of ['channel', 'address', 'user']) if ($(name).value) query.set(name, $(name).value);
  if (after) query.set('after', after);
  const turn = ++asked;
  const channels = JSON.parse(await ask('/channels?limit=1000'));
  const connections = JSON.parse(await ask(`/connections?${query}`));
  if (turn !== asked) return; // another filter has been set meanwhile
  showChannels(channels);
  showConnections(connections);
};

const look = async () => {
  try {
    showMetrics(parse(await ask('/metrics')), performance.now());
    if (!document.hidden) await refresh();
    $('login').hidden = true;
    tell('Running');
  } catch (error) {
    const unreachable = error.name === 'TypeError' || error.name === 'TimeoutError';
    if (unreachable) last = null;
    tell(unreachable ? 'The server cannot be reached' : error.message, true);
  }
  setTimeout(look, EVERY);
};

$('login').addEventListener('submit', (event) => {
  event.preventDefault();
  token = $('token').value;
  tell('Loading');
});
$('filter').addEventListener('submit', (event) => {
  event.preventDefault();
  after = '';
  refresh().catch((error) => tell(error.message, true));
});
$('next').addEventListener('click', () => {
  after = next ?? '';
  refresh().catch((error) => tell(error.message, true));
});
look();
