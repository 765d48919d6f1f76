/** The verbs of the `anystack` command: each in a file of its own, loaded when it is asked for. */
import { readFileSync } from 'node:fs';
import { Command, type OptionValues } from 'commander';
import { fail } from './failure.js';

/** What the file of a verb exports: `words` are its arguments as they stand. The number is the exit code. */
export interface Verb {
  run(words: readonly string[], options: OptionValues): Promise<number>;
}

interface Shape {
  readonly arguments?: string;
  readonly alias?: readonly string[];
  /** Talks to a running stack. */
  readonly client?: boolean;
  readonly json?: boolean;
  readonly options?: readonly (readonly [flags: string, description: string])[];
  /** Everything behind the verb is its own, dashes too. */
  readonly passThrough?: boolean;
}

type Entry = readonly [name: string, description: string, load: () => Promise<Verb>, shape: Shape];

const families = [
  ['-4, --four', 'show IPv4 only'],
  ['-6, --six', 'show IPv6 only'],
] as const;

const verbs: readonly Entry[] = [
  [
    'up',
    'run a stack from a configuration file until SIGTERM',
    () => import('./up.js'),
    {
      arguments: '<file>',
      options: [['-d, --detach', 'go on in the background, and return when it serves']],
    },
  ],
  ['down', 'end a running stack', () => import('./down.js'), { client: true }],
  ['check', 'check a configuration file without applying it', () => import('./check.js'), { arguments: '<file>' }],
  ['reload', 'apply what has changed in its configuration file, or in another', () => import('./reload.js'), { arguments: '[file]', client: true }],
  [
    'addr',
    'addresses: [show [dev IF]] | add P dev IF | del P dev IF',
    () => import('./addr.js'),
    {
      arguments: '[words...]',
      alias: ['a', 'address'],
      client: true,
      options: families,
    },
  ],
  [
    'link',
    'interfaces: [show [IF]] | set IF [up|down] [mtu N] [promisc on|off]',
    () => import('./link.js'),
    {
      arguments: '[words...]',
      alias: ['l'],
      client: true,
    },
  ],
  [
    'route',
    'routes: [show] | add|replace|del P [via A] [dev IF] … | get A',
    () => import('./route.js'),
    {
      arguments: '[words...]',
      alias: ['r'],
      client: true,
      options: families,
    },
  ],
  [
    'rule',
    'policy rules: [show] | add|del [priority N] [from P] [iif IF] [mark N] … table N|blackhole|…',
    () => import('./rule.js'),
    {
      arguments: '[words...]',
      client: true,
    },
  ],
  [
    'neigh',
    'neighbours: [show [dev IF]] | add|replace A lladdr MAC dev IF | del A dev IF',
    () => import('./neigh.js'),
    {
      arguments: '[words...]',
      alias: ['n', 'neighbor', 'neighbour'],
      client: true,
      options: families,
    },
  ],
  [
    'filter',
    'rules with counters: [show] | connections | flush',
    () => import('./filter.js'),
    {
      arguments: '[words...]',
      alias: ['nft'],
      client: true,
    },
  ],
  ['dns', 'names: NAME [TYPE] asks, alone it shows servers', () => import('./dns.js'), { arguments: '[words...]', client: true }],
  [
    'forward',
    "ports of the host that lead to the stack's network, and proxies: [show] | add FROM TO [max N] | del FROM",
    () => import('./forward.js'),
    {
      arguments: '[words...]',
      client: true,
      options: [['-u, --udp', 'datagrams instead of connections']],
    },
  ],
  [
    'multicast',
    'multicast forwarding: what listeners want',
    () => import('./multicast.js'),
    {
      arguments: '[words...]',
      alias: ['mroute'],
      client: true,
    },
  ],
  ['vrrp', 'virtual routers: who is active', () => import('./vrrp.js'), { arguments: '[words...]', client: true }],
  [
    'mdns',
    'names and services of the link, by multicast DNS: NAME, or a type such as _http._tcp',
    () => import('./mdns.js'),
    { arguments: '<name>', client: true, options: [['-w, --wait <s>', 'seconds that services are waited for']] },
  ],
  ['dhcp', 'DHCP leases, ours and those given', () => import('./dhcp.js'), { arguments: '[words...]', client: true }],
  ['ipsec', 'IPsec: [status] | sad | spd | up NAME | down NAME', () => import('./ipsec.js'), { arguments: '[words...]', client: true }],
  [
    'ss',
    'sockets',
    () => import('./ss.js'),
    {
      client: true,
      options: [
        ['-i, --info', 'with tcp_info'],
        ['-l, --listening', 'only listeners'],
        ['-t, --tcp', 'only TCP'],
        ['-u, --udp', 'only UDP'],
      ],
    },
  ],
  [
    'nstat',
    'counters, and drops by reason',
    () => import('./nstat.js'),
    {
      arguments: '[pattern]',
      client: true,
      options: [['-z, --zeros', 'zeros too']],
    },
  ],
  [
    'sysctl',
    'tunables: NAME … | -w NAME=VALUE … | -a',
    () => import('./sysctl.js'),
    {
      arguments: '[words...]',
      client: true,
      options: [
        ['-a, --all', 'all of them'],
        ['-w, --write', 'set values'],
      ],
    },
  ],
  [
    'ping',
    'echo requests from the stack',
    () => import('./ping.js'),
    {
      arguments: '<address>',
      client: true,
      options: [
        ['-c, --count <n>', 'how many'],
        ['-i, --interval <s>', 'seconds between two'],
        ['-s, --size <n>', 'octets'],
        ['-t, --ttl <n>', 'time to live'],
        ['-I, --dev <if>', 'interface'],
        ['-W, --timeout <s>', 'seconds to wait for the last'],
      ],
    },
  ],
  [
    'traceroute',
    'routers on the way from the stack to an address',
    () => import('./traceroute.js'),
    {
      arguments: '<address>',
      client: true,
      options: [
        ['-m, --hops <n>', 'at most'],
        ['-q, --probes <n>', 'for each hop'],
        ['-w, --timeout <s>', 'seconds to wait for each'],
        ['-I, --dev <if>', 'interface'],
      ],
    },
  ],
  [
    'nc',
    'a connection of the stack on stdin and stdout: HOST PORT, or -l PORT',
    () => import('./nc.js'),
    {
      arguments: '<words...>',
      json: false,
      client: true,
      options: [
        ['-l, --listen', 'wait for a call'],
        ['-u, --udp', 'UDP'],
      ],
    },
  ],
  [
    'run',
    'an unmodified Node program over a stack of its own: FILE -- node app.mjs',
    () => import('./run.js'),
    {
      arguments: '<words...>',
      json: false,
      passThrough: true,
      options: [
        ['--exclude <hosts>', "names and addresses left to the host's network, separated by commas"],
        ['--include <hosts>', 'only these go over the stack'],
      ],
    },
  ],
  [
    'exec',
    'run a command where the stack can be reached: -- CMD …',
    () => import('./exec.js'),
    {
      arguments: '<command...>',
      json: false,
      client: true,
      passThrough: true,
    },
  ],
  [
    'capture',
    'pcapng to a file, or to stdout with -w -',
    () => import('./capture.js'),
    {
      arguments: '[filter...]',
      client: true,
      options: [
        ['-i, --iface <if>', 'only this interface'],
        ['-w, --write <file>', 'where to; - is stdout, the default'],
        ['-c, --count <n>', 'stop after so many frames'],
        ['-s, --snaplen <n>', 'octets kept of each frame'],
      ],
    },
  ],
  [
    'trace',
    'follow packets through the stack: interface, route, rule, translation, neighbour, or why they die',
    () => import('./trace.js'),
    {
      arguments: '[filter...]',
      client: true,
      options: [['-c, --count <n>', 'stop after so many packets']],
    },
  ],
  [
    'bench',
    'measure a stack in memory, a TAP or a configuration: gen|search [sink|echo|forward] | rr | replay FILE | reflect | compare A B',
    () => import('./bench.js'),
    {
      arguments: '<words...>',
      options: [
        ['-s, --size <octets>', 'of frames, check sequence included: 64, 64,1518 or imix'],
        ['-n, --count <packets>', 'of one run'],
        ['--runs <n>', 'measured runs after one to warm up'],
        ['--flows <n>', 'source ports in turn'],
        ['--rate <n>', 'frames or requests a second; 0 (the default) for as many as go, one request at a time'],
        ['--tap <name>', 'on a TAP of that name, 198.18.0.1 its kernel and 198.18.0.2 the stack'],
        ['--netns <path>', 'where the TAP is'],
        ['--config <file>', 'on the stack and the devices of a configuration'],
        ['--memory', 'with --config: its devices replaced by links in memory'],
        ['--dev <if>', 'interface that frames go out of; in memory, come in on'],
        ['--to <address>', 'whom frames are for'],
        ['--port <n>', 'UDP port of rr, search and reflect on devices; 9 by default'],
        ['--seconds <n>', 'on devices: most of one run; of reflect, altogether'],
        ['--speed <n>', 'replay on devices: 1 as recorded, 2 twice as fast, 0 as fast as it goes'],
        ['--seed <n>', 'of the stack in memory'],
        ['-6, --six', 'IPv6'],
        ['--threshold <percent>', 'compare: slower by more than this exits 1'],
      ],
    },
  ],
  ['drops', 'cause and remedy of a drop reason', () => import('./drops.js'), { arguments: '[reason]' }],
  [
    'demo',
    'a stack that shows what it does, on this machine',
    () => import('./demo/main.js'),
    {
      json: false,
      options: [
        ['--serve', 'serve afterwards, until Ctrl-C'],
        ['--memory', 'on a network in memory, without the kernel'],
        ['--namespace', 'in a namespace of its own'],
      ],
    },
  ],
  [
    'packetdrill',
    'run packetdrill scripts against the stack, on virtual time',
    () => import('../packetdrill/main.js'),
    {
      arguments: '<paths...>',
      options: [
        ['--profile <name>', 'the wire habits scripts presume: linux (default) or bsd'],
        ['-n, --normalize', 'leave out window values and the order of options'],
        ['--strict', 'a packet nobody asks for fails the script'],
        ['-q, --quiet', 'only failures and totals'],
        ['--expect <file>', 'known failures, which do not count for the exit code'],
        ['-D, --define <name...>', 'NAME or NAME=VALUE, for #ifdef and for words'],
      ],
    },
  ],
];

/** The command with all its verbs. */
export function createProgram(): Command {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string };
  const program = new Command('anystack')
    .description('A TCP/IP stack in your process: run one from a file, look into it, change it while it runs.')
    .version(version)
    .enablePositionalOptions()
    .showSuggestionAfterError()
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error:/, 'anystack:')) });
  for (const entry of verbs) add(program, entry);
  return program;
}

function add(program: Command, [name, description, load, shape]: Entry): void {
  const command = program
    .command(name)
    .description(description)
    .aliases([...(shape.alias ?? [])]);
  if (shape.arguments !== undefined) command.argument(shape.arguments);
  for (const [flags, text] of shape.options ?? []) command.option(flags, text);
  if (shape.json !== false) command.option('-j, --json', 'answer in JSON');
  if (shape.client) command.option('--stack <name>', 'which running stack', 'default');
  if (shape.passThrough) command.passThroughOptions();
  command.action(async (...given: unknown[]) => {
    const words = (shape.arguments === undefined ? [] : [given[0]].flat().filter((w) => w !== undefined)) as string[];
    const options = given[given.length - 2] as OptionValues;
    try {
      process.exitCode = await (await load()).run(words, options);
    } catch (error) {
      process.exitCode = fail(error, options['json'] === true);
    }
  });
}
