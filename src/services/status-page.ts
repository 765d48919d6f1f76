/**
 * The page of the status server, fed by /status.json each second: readable on a phone, dark where its reader likes it so, nothing from elsewhere. The
 * graphs are uPlot's, served beside it; without it the tables are there all the same.
 */
export const STATUS_PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>anystack</title>
<link rel="stylesheet" href="/uplot.css">
<style>
:root{color-scheme:light dark;--line:#8884;--dim:#888;--accent:#2a7de1;--other:#d98b2b;--bad:#c33}
*{box-sizing:border-box}
body{font:15px/1.45 system-ui,sans-serif;margin:0 auto;padding:1rem;max-width:72rem}
header{display:flex;flex-wrap:wrap;gap:.2rem 1rem;align-items:baseline}
h1{font-size:1.3rem;margin:0}h2{font-size:1rem;margin:1.6rem 0 .4rem}
#state{color:var(--dim)}#state.gone{color:var(--bad)}
section{overflow-x:auto}
#graphs{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,20rem),1fr));gap:.4rem 1rem}
#graphs>div{min-width:0;overflow:hidden}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.25rem .8rem .25rem 0;border-bottom:1px solid var(--line);white-space:nowrap}
th{font-weight:500;color:var(--dim)}td.n,th.n{text-align:right}
small{color:var(--dim)}form{display:flex;flex-wrap:wrap;gap:.5rem;align-items:center}input{max-width:100%}
</style>
<header><h1 id="name">anystack</h1><span id="state">connecting …</span></header>
<h2>Traffic <small id="rates"></small></h2>
<div id="graphs"></div>
<form id="capture" action="/capture.pcapng" hidden>
<h2>Capture</h2> <input name="filter" placeholder="icmp or host 10.0.0.2" maxlength="256" aria-label="filter">
<label><input name="seconds" type="number" value="10" min="1" max="60"> seconds</label> <button>Download</button>
</form>
<main id="tables"></main>
<script src="/uplot.js"></script>
<script>
'use strict';
const $ = (id) => document.getElementById(id);
const KEPT = 120;
const unit = (n) => { const u = ['', 'k', 'M', 'G', 'T']; let i = 0; while (n >= 1000 && i < 4) { n /= 1000; i++; } return (i && n < 100 ? n.toFixed(1) : Math.round(n)) + ' ' + u[i]; };
const time = (s) => s < 120 ? s.toFixed(0) + ' s' : s < 7200 ? (s / 60).toFixed(0) + ' min' : (s / 3600).toFixed(1) + ' h';
const ends = (a, p) => a === null ? '*' : (a.includes(':') ? '[' + a + ']' : a) + ':' + p;
const sum = (links, key) => links.filter((l) => l.medium !== 'loopback').reduce((n, l) => n + l[key], 0);
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name);
const graphs = [
  { title: 'octets a second', series: ['in', 'out'], of: (d, s, l) => [rate(d, s, l, 'rxOctets'), rate(d, s, l, 'txOctets')] },
  { title: 'packets a second', series: ['in', 'out', 'dropped'], of: (d, s, l) => [rate(d, s, l, 'rxPackets'), rate(d, s, l, 'txPackets'), (total(s.drops) - total(l.drops)) / d] },
  { title: 'round trip, ms', series: ['median', 'worst'], of: (d, s) => latency(s) },
];
const rate = (d, s, l, key) => (sum(s.links, key) - sum(l.links, key)) / d;
const total = (drops) => Object.values(drops).reduce((n, m) => n + m, 0);
function latency(s) {
  const all = s.sockets.filter((k) => k.state === 'ESTABLISHED' && k.info && k.info.rtt > 0).map((k) => k.info.rtt / 1000).sort((a, b) => a - b);
  return all.length ? [all[all.length >> 1], all[all.length - 1]] : [null, null];
}
function plot(g) {
  if (typeof uPlot === 'undefined') return;
  if (g.plot) g.plot.destroy(); else $('graphs').append(g.place = document.createElement('div'));
  const colours = ['--accent', '--other', '--bad'];
  const axis = { stroke: colour('--dim'), grid: { stroke: colour('--line'), width: 1 }, ticks: { show: false } };
  g.plot = new uPlot({
    title: g.title, width: g.place.clientWidth, height: 170, cursor: { drag: { x: false, y: false } },
    series: [{ label: 'time' }, ...g.series.map((label, i) => ({ label, stroke: colour(colours[i]), width: 1.5, value: (u, v) => v === null || v === undefined ? '' : v < 10 ? v.toFixed(2) : unit(v) }))],
    scales: { y: { range: (u, low, high) => [0, Math.max(high || 0, 1) * 1.1] } },
    axes: [axis, { ...axis, size: 56, values: (u, all) => all.map((v) => v < 10 ? v : unit(v)) }],
  }, g.data, g.place);
}
for (const g of graphs) { g.data = [[], ...g.series.map(() => [])]; plot(g); }
addEventListener('resize', () => graphs.forEach((g) => g.plot && g.plot.setSize({ width: g.place.clientWidth, height: 170 })));
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => graphs.forEach(plot));
let last = null;
function chart(s) {
  const d = last && s.uptime - last.uptime;
  if (d > 0) {
    for (const g of graphs) {
      [s.time, ...g.of(d, s, last)].forEach((v, i) => { g.data[i].push(v); if (g.data[i].length > KEPT) g.data[i].shift(); });
      if (g.plot) g.plot.setData(g.data);
    }
    const [, into, out] = graphs[0].data.map((all) => all[all.length - 1]);
    $('rates').textContent = 'in ' + unit(into) + 'B/s, out ' + unit(out) + 'B/s';
  }
  last = s;
}
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
function show(s) {
  $('name').textContent = document.title = s.name;
  $('state').className = ''; $('state').textContent = s.state + ' for ' + time(s.uptime) + ' · ' + s.held.packets + ' packets held';
  chart(s);
  const by = (o) => Object.entries(o).sort((a, b) => b[1] - a[1]);
  const tcp = (i) => i ? [(i.rtt / 1000).toFixed(2), (i.rttvar / 1000).toFixed(2), i.snd_mss, i.snd_cwnd, i.total_retrans, unit(i.delivery_rate) + 'B/s', i.congestion] : [];
  $('tables').replaceChildren(
    ...table('Interfaces', ['name', 'state', 'addresses', '#mtu', 'station', 'device', '#in', '#out'], s.links.map((l) => [l.name, l.state, s.addresses.filter((a) => a.dev === l.name).map((a) => a.address + '/' + a.length).join(' '), l.mtu, l.mac, l.device, unit(l.rxOctets) + 'B', unit(l.txOctets) + 'B'])),
    ...table('Sockets', ['kind', 'state', 'local', 'remote', '#queued in', '#queued out', '#rtt ms', '#±', '#mss', '#cwnd', '#sent again', '#delivered', 'congestion'], s.sockets.map((k) => [k.kind, k.state, ends(k.localAddress, k.localPort), ends(k.remoteAddress, k.remotePort), k.receiveQueue, k.sendQueue, ...tcp(k.info)])),
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
fetch('/capture.pcapng', { method: 'HEAD' }).then((r) => { $('capture').hidden = !r.ok; }, () => {});
tick();
</script>
</html>
`;
