import type { Schema } from './schema.js';

const string = (description: string): Schema => ({ type: 'string', description });
const boolean = (description: string): Schema => ({ type: 'boolean', description });
const integer = (minimum: number, maximum: number, description: string): Schema => ({ type: 'integer', minimum, maximum, description });
const port = (description: string): Schema => integer(1, 65_535, description);
const mac: Schema = {
  type: 'string',
  pattern: '^[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}$',
  description: 'a station address such as 02:00:00:00:00:01',
};
const prefix: Schema = {
  type: 'string',
  pattern: '^[0-9a-fA-F:.]+/\\d{1,3}$',
  description: 'an address with its prefix length, such as 10.0.0.1/24',
};
const mtu = integer(68, 65_535, 'Greatest IP packet in octets.');
const medium: Schema = { type: 'string', enum: ['ethernet', 'ip'], description: "What a frame begins with. Default 'ethernet'." };
const busyPollMicros = integer(0, 1_000_000, 'Microseconds the loop stays awake after traffic. Default 0.');
/** Made by a program: JSON has none. */
const value = (description: string): Schema => ({ description });

function device(type: string, description: string, properties: Readonly<Record<string, Schema>>, required: readonly string[] = []): Schema {
  return {
    type: 'object',
    description,
    properties: { type: { const: type }, ...properties },
    required: ['type', ...required],
    additionalProperties: false,
  };
}

const tap: Readonly<Record<string, Schema>> = {
  name: { type: 'string', pattern: '^[^\\s/]{1,15}$', description: 'an interface name of at most 15 characters without blank or slash' },
  hostAddress: { description: "The host's own addresses on it.", anyOf: [prefix, { type: 'array', items: prefix }] },
  mtu,
  mac,
  offload: boolean('Checksums and segmentation are left to the host where it takes them. False: plain frames, which the addon merges and cuts. Default true.'),
  busyPollMicros,
  queues: integer(1, 256, 'More than 1 opens one queue of a multi-queue device. Default 1.'),
  netns: string('Path of another network namespace.'),
};

const chance: Schema = { type: 'number', minimum: 0, maximum: 1, description: 'A probability.' };
const micros: Schema = { type: 'number', minimum: 0, description: 'Microseconds.' };
const faults: Schema = {
  type: 'object',
  description: 'What goes wrong in one direction.',
  properties: {
    loss: chance,
    burst: {
      type: 'object',
      description: 'Gilbert and Elliott: lost in bursts.',
      properties: { enter: chance, leave: chance, loss: chance },
      required: ['enter', 'leave'],
      additionalProperties: false,
    },
    delay: micros,
    jitter: micros,
    reorder: chance,
    reorderBy: micros,
    duplicate: chance,
    corrupt: chance,
    mtu: integer(0, 65_535, 'Longer IP packets vanish. 0: none.'),
    rate: { type: 'number', minimum: 0, description: 'Bits a second; 0: no limit.' },
    queueFrames: integer(1, 1_000_000, 'Frames that wait for the rate. Default 1,000.'),
    partitioned: boolean('Nothing passes.'),
  },
  additionalProperties: false,
};

const plain: readonly Schema[] = [
  device('tap', 'A virtual Ethernet interface of the host whose cable ends in the stack.', tap),
  device('tun', 'The same for IP packets without Ethernet.', tap),
  device(
    'fd',
    'A descriptor the process was started with, one frame each read.',
    {
      fd: integer(0, 1_048_576, 'Its number.'),
      medium,
      vnetHeader: { type: 'integer', enum: [0, 10, 12], description: 'Octets of virtio header before each frame. Default 0.' },
      mtu,
      mac,
      busyPollMicros,
    },
    ['fd'],
  ),
  device('qemu-stream', "QEMU's -netdev stream: to QEMU, passt, gvproxy, without privilege.", {
    path: string('A Unix socket, or host and port.'),
    host: string('Default 127.0.0.1.'),
    port: port('A TCP port.'),
    listen: boolean('Default false: connect.'),
    mtu,
    mac,
  }),
  device('udp', 'Frames in UDP datagrams of the host.', {
    localAddress: string('Default 127.0.0.1.'),
    localPort: port('Default: any.'),
    remoteAddress: string('Where frames go, and come from.'),
    remotePort: port('Its port.'),
    medium,
    mtu,
    mac,
  }),
  device(
    'udp-nat',
    'UDP alone, each port by a socket of the host: the medium of a VPN without privilege.',
    {
      address: string("The stack's own IPv4 address on it."),
      publish: {
        type: 'object',
        description: "Ports of the stack to be reached from outside, and the host's ports for them.",
        additionalProperties: port("The host's port."),
      },
      map: {
        type: 'object',
        description: "Peers that are elsewhere: 'address:port' inside to 'address:port' outside.",
        additionalProperties: string('Outside.'),
      },
      loopbackAs: string("What the host's own loopback address is called inside."),
      mtu,
    },
    ['address'],
  ),
  device('raw-socket', "The host's own raw sockets; IP without Ethernet.", {
    protocols: { type: 'array', items: integer(1, 255, 'An IANA protocol number.'), minItems: 1 },
    mtu,
  }),
  device('duplex', 'A Duplex of whole frames.', { stream: value('The Duplex.'), medium, mtu, mac }, ['stream']),
  device('tuntap2', 'By the npm package tuntap2.', { tun: boolean('Default false: a TAP.'), ipv4: prefix, ipv6: prefix, mtu, mac }),
  device('pcap-replay', 'A capture file, as if it came in.', {
    path: string('pcap or pcapng.'),
    bytes: value('Its octets.'),
    speed: {
      description: "A multiple of the recorded speed, or 'max'.",
      anyOf: [
        { type: 'number', minimum: 0 },
        { type: 'string', enum: ['max'] },
      ],
    },
    mtu,
    mac,
  }),
  device('memory', 'A device made by the program: one end of a memory link.', { device: value('The Device.') }, ['device']),
];

/** A device by reference: wrappers hold others, wrappers too. */
export const deviceRef: Schema = { $ref: '#/$defs/device', target: () => deviceSchema };

const around: readonly Schema[] = [
  device(
    'faults',
    'Loses, delays, reorders, damages what passes.',
    { of: deviceRef, seed: integer(0, 4_294_967_295, 'Same seed, same faults. Default 1.'), tx: faults, rx: faults },
    ['of'],
  ),
  device('capture', 'Writes what passes to a pcapng file.', { of: deviceRef, path: string('The file.') }, ['of', 'path']),
];

/** What each device type takes; the devices themselves check it again when they open. A test holds this list to theirs. */
export const deviceSchema: Schema = { description: 'What carries the packets of the interface.', oneOf: [...plain, ...around] };
