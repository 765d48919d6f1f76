import { type Address, type Prefix, parsePrefix, samePrefix } from '../base/address.js';
import { ConfigError } from '../base/errors.js';
import { nearest } from '../net/sysctl.js';
import { Protocol } from '../wire/protocol.js';
import type { FrameFields } from './frame-fields.js';

/** Is the frame wanted? */
export type Filter = (frame: FrameFields) => boolean;

const protocols: Readonly<Record<string, number>> = { tcp: Protocol.Tcp, udp: Protocol.Udp, icmp: Protocol.Icmp, icmp6: Protocol.Icmpv6 };
const WORDS = ['host', 'src', 'dst', 'net', 'port', 'proto', 'iface', 'vlan', 'ip', 'ip6', 'arp', 'not', 'and', 'or', ...Object.keys(protocols)];
const ARP = 0x0806;

/**
 * A filter in pcap-filter's words, as many of them as suffice: `host A`, `src A`, `dst A`, `net P`, `port N`, `proto N`,
 * `iface NAME`, `vlan N`, `ip`, `ip6`, `arp`, `tcp`, `udp`, `icmp`, `icmp6`, `not`, `and`, `or` and parentheses.
 * ConfigError says which word is wrong.
 */
export function parseFilter(text: string): Filter {
  const words = text.match(/[()!]|&&|\|\||[^\s()!&|]+/g) ?? [];
  if (words.length === 0) return () => true;
  const parser = new Parser(words);
  const filter = parser.or();
  if (!parser.done) throw new ConfigError(`capture filter: '${parser.peek()}' is one word too many`);
  return filter;
}

class Parser {
  private readonly words: readonly string[];
  private at = 0;

  constructor(words: readonly string[]) {
    this.words = words;
  }

  get done(): boolean {
    return this.at === this.words.length;
  }

  peek(): string {
    return this.words[this.at] ?? '';
  }

  private take(what: string): string {
    if (this.done) throw new ConfigError(`capture filter: ${what} is missing at the end`);
    return this.words[this.at++] as string;
  }

  private takeIf(...words: string[]): boolean {
    if (!words.includes(this.peek())) return false;
    this.at++;
    return true;
  }

  or(): Filter {
    let left = this.and();
    while (this.takeIf('or', '||')) {
      const [a, b] = [left, this.and()];
      left = (f) => a(f) || b(f);
    }
    return left;
  }

  private and(): Filter {
    let left = this.not();
    while (this.takeIf('and', '&&')) {
      const [a, b] = [left, this.not()];
      left = (f) => a(f) && b(f);
    }
    return left;
  }

  private not(): Filter {
    if (this.takeIf('not', '!')) {
      const inner = this.not();
      return (f) => !inner(f);
    }
    if (this.takeIf('(')) {
      const inner = this.or();
      if (!this.takeIf(')')) throw new ConfigError("capture filter: ')' is missing");
      return inner;
    }
    return this.term(this.take('a word'));
  }

  private term(word: string): Filter {
    const protocol = Object.hasOwn(protocols, word) ? protocols[word] : undefined;
    if (protocol !== undefined) return (f) => f.protocol === protocol && f.family !== 0;
    switch (word) {
      case 'ip':
        return (f) => f.family === 4;
      case 'ip6':
        return (f) => f.family === 6;
      case 'arp':
        return (f) => f.etherType === ARP;
      case 'host':
      case 'net':
        return this.prefix(word, (p) => (f) => within(p, f.source, f.family) || within(p, f.destination, f.family));
      case 'src':
        return this.prefix(word, (p) => (f) => within(p, f.source, f.family));
      case 'dst':
        return this.prefix(word, (p) => (f) => within(p, f.destination, f.family));
      case 'port':
        return this.number(word, 65_535, (n) => (f) => f.sourcePort === n || f.destinationPort === n);
      case 'proto':
        return this.number(word, 255, (n) => (f) => f.family !== 0 && f.protocol === n);
      case 'vlan':
        return this.number(word, 4_095, (n) => (f) => f.vid === n);
      case 'iface': {
        const name = this.take('an interface');
        return (f) => f.iface === name;
      }
      default:
        throw new ConfigError(`capture filter: '${word}' is unknown; did you mean '${nearest(word, WORDS)}'?`);
    }
  }

  private prefix(word: string, make: (prefix: Prefix) => Filter): Filter {
    this.takeIf('host', 'net');
    const text = this.take(`the address of '${word}'`);
    const prefix = parsePrefix(text);
    if (prefix === null) throw new ConfigError(`capture filter: '${text}' behind '${word}' is neither address nor prefix`);
    return make(prefix);
  }

  private number(word: string, most: number, make: (n: number) => Filter): Filter {
    const text = this.take(`the number of '${word}'`);
    const known = word === 'proto' && Object.hasOwn(protocols, text) ? protocols[text] : undefined;
    const n = known ?? (/^\d+$/.test(text) ? Number(text) : -1);
    if (n < 0 || n > most) throw new ConfigError(`capture filter: '${text}' behind '${word}' is to be a number of at most ${most}`);
    return make(n);
  }
}

const within = ({ address, length }: Prefix, candidate: Address, family: number): boolean =>
  family === (address.isV4 ? 4 : 6) && samePrefix(address, candidate, length + (address.isV4 ? 96 : 0));
