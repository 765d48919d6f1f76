/** The page of the status server: one file without anything from elsewhere, readable on a phone, fed by /status.json each second. */
export const STATUS_PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>anystack</title>
<style>
:root{color-scheme:light dark;--line:#8884;--dim:#888;--accent:#2a7de1;--bad:#c33}
*{box-sizing:border-box}
body{font:15px/1.45 system-ui,sans-serif;margin:0 auto;padding:1rem;max-width:72rem}
header{display:flex;flex-wrap:wrap;gap:.2rem 1rem;align-items:baseline}
h1{font-size:1.3rem;margin:0}h2{font-size:1rem;margin:1.6rem 0 .4rem}
#state{color:var(--dim)}#state.gone{color:var(--bad)}
section{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.25rem .8rem .25rem 0;border-bottom:1px solid var(--line);white-space:nowrap}
th{font-weight:500;color:var(--dim)}td.n,th.n{text-align:right}
small{color:var(--dim)}svg{width:100%;height:4rem;display:block}
path{fill:none;stroke:var(--accent);stroke-width:1.5;vector-effect:non-scaling-stroke}path.out{stroke:var(--dim)}
</style>
<header><h1 id="name">anystack</h1><span id="state">connecting …</span></header>
<h2>Traffic <small id="rates"></small></h2>
<svg viewBox="0 0 120 40" preserveAspectRatio="none" role="img" aria-label="octets per second, two minutes"><path id="in"/><path id="out" class="out"/></svg>
<main id="tables"></main>
<script>
'use strict';
const $ = (id) => document.getElementById(id);
const history = [];
let last = null;
const unit = (n) => { const u = ['', 'k', 'M', 'G', 'T']; let i = 0; while (n >= 1000 && i < 4) { n /= 1000; i++; } return (i && n < 100 ? n.toFixed(1) : Math.round(n)) + ' ' + u[i]; };
const time = (s) => s < 120 ? s.toFixed(0) + ' s' : s < 7200 ? (s / 60).toFixed(0) + ' min' : (s / 3600).toFixed(1) + ' h';
const ends = (a, p) => a === null ? '*' : (a.includes(':') ? '[' + a + ']' : a) + ':' + p;
const sum = (links, key) => links.filter((l) => l.medium !== 'loopback').reduce((n, l) => n + l[key], 0);
function table(title, columns, rows) {
  const h = document.createElement('h2'); h.textContent = title + ' ';
  const count = document.createElement('small'); count.textContent = rows.length; h.append(count);
  const s = document.createElement('section'), t = document.createElement('table');
  const line = (cells, tag) => { const tr = document.createElement('tr'); cells.forEach((c, i) => { const e = document.createElement(tag); e.textContent = c ?? ''; if (columns[i].startsWith('#')) e.className = 'n'; tr.append(e); }); t.append(tr); };
  line(columns.map((c) => c.replace('#', '')), 'th');
  rows.forEach((r) => line(r, 'td'));
  s.append(t);
  return rows.length ? [h, s] : [];
}
function draw(id, key) {
  const top = Math.max(1, ...history.map((h) => Math.max(h.in, h.out)));
  $(id).setAttribute('d', history.map((h, i) => (i ? 'L' : 'M') + (120 - history.length + i) + ' ' + (39 - 38 * h[key] / top)).join(''));
}
function show(s) {
  $('name').textContent = document.title = s.name;
  $('state').className = ''; $('state').textContent = s.state + ' for ' + time(s.uptime) + ' · ' + s.held.packets + ' packets held';
  const now = { t: s.uptime, in: sum(s.links, 'rxOctets'), out: sum(s.links, 'txOctets') };
  if (last && now.t > last.t) {
    const dt = now.t - last.t;
    history.push({ in: (now.in - last.in) / dt, out: (now.out - last.out) / dt });
    if (history.length > 120) history.shift();
    const h = history[history.length - 1];
    $('rates').textContent = 'in ' + unit(h.in) + 'B/s, out ' + unit(h.out) + 'B/s';
    draw('in', 'in'); draw('out', 'out');
  }
  last = now;
  const by = (o) => Object.entries(o).sort((a, b) => b[1] - a[1]);
  $('tables').replaceChildren(
    ...table('Interfaces', ['name', 'state', 'addresses', '#mtu', 'station', 'device', '#in', '#out'], s.links.map((l) => [l.name, l.state, s.addresses.filter((a) => a.dev === l.name).map((a) => a.address + '/' + a.length).join(' '), l.mtu, l.mac, l.device, unit(l.rxOctets) + 'B', unit(l.txOctets) + 'B'])),
    ...table('Sockets', ['kind', 'state', 'local', 'remote', '#queued in', '#queued out', '#rtt ms', '#cwnd', '#retrans', 'congestion'], s.sockets.map((k) => [k.kind, k.state, ends(k.localAddress, k.localPort), ends(k.remoteAddress, k.remotePort), k.receiveQueue, k.sendQueue, k.info ? (k.info.rtt / 1000).toFixed(2) : '', k.info && k.info.snd_cwnd, k.info && k.info.total_retrans, k.info && k.info.congestion])),
    ...table('Routes', ['to', 'via', 'dev', 'src', '#metric', 'by'], s.routes.map((r) => [r.to, r.via, r.dev, r.src, r.metric, r.protocol])),
    ...table('Neighbours', ['address', 'dev', 'station', 'state'], s.neighbors.map((n) => [n.to, n.dev, n.lladdr, n.state])),
    ...table('Drops', ['reason', '#packets'], by(s.drops)),
    ...table('Counters', ['name', '#count'], by(s.counters)),
  );
}
async function tick() {
  try { show(await (await fetch('/status.json', { cache: 'no-store' })).json()); }
  catch { $('state').className = 'gone'; $('state').textContent = 'does not answer'; }
  setTimeout(tick, 1000);
}
tick();
</script>
</html>
`;
