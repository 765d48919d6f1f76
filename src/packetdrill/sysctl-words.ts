/** What other systems' tunables are here. */
import { ConfigError } from '../base/errors.js';
import { type Sysctl, sysctls } from '../net/sysctl.js';
import { Unsupported } from './outcome.js';

type Apply = (sysctl: Sysctl, value: string) => void;

const to =
  (...names: string[]): Apply =>
  (sysctl, value) => {
    for (const name of names) sysctl.set(name, value);
  };

/** The middle of a triple; the outer two give way. */
const middle =
  (name: string): Apply =>
  (sysctl, value) => {
    const [least, , most] = sysctl.get(name) as readonly [number, number, number];
    sysctl.set(name, [Math.min(least, Number(value)), Number(value), Math.max(most, Number(value))]);
  };

/** BSD's milliseconds where we have seconds. */
const inSeconds =
  (name: string): Apply =>
  (sysctl, value) =>
    sysctl.set(name, Math.max(1, Math.round(Number(value) / 1_000)));

const nothing: Apply = () => {};

/** We do what these values say; others are refused. */
const only =
  (...values: string[]): Apply =>
  (_sysctl, value) => {
    if (!values.includes(value)) throw new Unsupported('');
  };

/** A tunable of ours where we have it; else the value we behave like. */
const knob =
  (name: string, ours: string): Apply =>
  (sysctl, value) => {
    if (name in sysctls) sysctl.set(name, value);
    else if (value !== ours) throw new Unsupported('');
  };

const BSD: Readonly<Record<string, Apply>> = {
  'net.inet.tcp.rfc1323': (sysctl, value) => {
    sysctl.set('net.ipv4.tcp_window_scaling', value === '1' || value === '2' ? 1 : 0);
    sysctl.set('net.ipv4.tcp_timestamps', value === '1' || value === '3' ? 1 : 0);
  },
  'net.inet.tcp.sack.enable': to('net.ipv4.tcp_sack'),
  'net.inet.tcp.ecn.enable': to('net.ipv4.tcp_ecn'),
  'net.inet.tcp.recvspace': middle('net.ipv4.tcp_rmem'),
  'net.inet.tcp.sendspace': middle('net.ipv4.tcp_wmem'),
  'net.inet.tcp.delacktime': to('anystack.tcp_delayed_ack'),
  'net.inet.tcp.keepidle': inSeconds('net.ipv4.tcp_keepalive_time'),
  'net.inet.tcp.keepintvl': inSeconds('net.ipv4.tcp_keepalive_intvl'),
  'net.inet.tcp.keepcnt': to('net.ipv4.tcp_keepalive_probes'),
  'net.inet.tcp.syncookies': to('net.ipv4.tcp_syncookies'),
  'net.inet.tcp.syncookies_only': (sysctl, value) => {
    if (value === '1') sysctl.set('net.ipv4.tcp_syncookies', 2);
  },
  'net.inet.tcp.insecure_rst': knob('anystack.tcp_insecure_rst', '0'),
  'net.inet.tcp.insecure_syn': knob('anystack.tcp_insecure_syn', '0'),
  'net.inet.tcp.drop_synfin': knob('anystack.tcp_drop_synfin', '0'),
  'net.inet.tcp.icmp_may_rst': knob('anystack.tcp_icmp_may_reset', '1'),
  'net.inet.tcp.keepinit': knob('anystack.tcp_keepinit', '75000'),
  'net.inet.tcp.rexmit_initial': knob('anystack.tcp_rto_initial', '1000'),
  'net.inet.tcp.rexmit_slop': knob('anystack.tcp_rto_slop', '200'),
  'net.inet.tcp.rexmit_drop_options': knob('anystack.tcp_syn_drop_options', '0'),
  'net.inet.tcp.tolerate_missing_ts': knob('anystack.tcp_tolerate_missing_ts', '0'),
  'net.inet.tcp.ecn.maxretries': knob('anystack.tcp_ecn_syn_retries', '1'),
  'net.inet.tcp.path_mtu_discovery': (sysctl, value) => sysctl.set('net.ipv4.ip_no_pmtu_disc', value === '1' ? 0 : 1),
  'net.inet.tcp.pmtud_blackhole_detection': to('net.ipv4.tcp_mtu_probing'),
  'net.inet.tcp.pmtud_blackhole_mss': to('net.ipv4.tcp_base_mss'),
  'net.inet.tcp.v6pmtud_blackhole_mss': nothing,
  'net.inet.tcp.mssdflt': only('536'),
  'net.inet.tcp.v6mssdflt': only('1220'),
  'net.inet.tcp.fastopen.client_enable': (sysctl, value) => sysctl.set('net.ipv4.tcp_fastopen', value === '0' ? 0 : 1),
  'kern.ipc.maxsockbuf': (sysctl, value) => {
    const octets = Math.min(Number(value), 1_073_741_824);
    for (const name of ['net.core.rmem_max', 'net.core.wmem_max']) sysctl.set(name, octets);
    // What autotuning may reach is what the window scale is chosen by.
    for (const name of ['net.ipv4.tcp_rmem', 'net.ipv4.tcp_wmem']) {
      const [least, first] = sysctl.get(name) as readonly [number, number, number];
      sysctl.set(name, [Math.min(least, octets), Math.min(first, octets), octets]);
    }
  },
  // Each script has a stack of its own, which remembers nothing of others.
  'net.inet.tcp.hostcache.purgenow': nothing,
  'net.inet.tcp.blackhole': only('0'),
  'net.inet.tcp.udp_tunneling_port': only('0'),
  'net.inet.tcp.udp_tunneling_overhead': nothing,
};

/** Linux's that we have not and that scripts set to what we do anyway, or that speak of its TSO and of pacing we leave off. */
const LINUX: Readonly<Record<string, Apply>> = {
  'net.ipv4.tcp_fack': only('0'),
  'net.ipv4.tcp_tso_win_divisor': nothing,
  'net.ipv4.tcp_pacing_ss_ratio': nothing,
  'net.ipv4.tcp_pacing_ca_ratio': nothing,
  'net.ipv4.tcp_ecn_option': nothing,
  'net.ipv4.tcp_fastopen_blackhole_timeout_sec': only('0'),
  // The bits we have; Linux's others speak of its blackhole detection.
  'net.ipv4.tcp_fastopen': (sysctl, value) => sysctl.set('net.ipv4.tcp_fastopen', Number(value) & 0x607),
};

/** Sets a tunable by the name and in the unit another system knows it by. Throws Unsupported when we have nothing like it. */
export function setForeign(sysctl: Sysctl, name: string, value: string): void {
  const apply = BSD[name] ?? LINUX[name] ?? (name in sysctls ? to(name) : null);
  if (apply === null) throw new Unsupported(`sysctl ${name}`);
  try {
    apply(sysctl, /^0x[0-9a-fA-F]+$/.test(value) ? String(Number(value)) : value);
  } catch (error) {
    if (error instanceof ConfigError || error instanceof Unsupported) throw new Unsupported(`sysctl ${name}=${value}`);
    throw error;
  }
}
