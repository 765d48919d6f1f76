import { int } from './sysctl-entry.js';

/** Bounds of the stack as a whole. */
export const stackSysctls = {
  'anystack.packets_max': int(16_384, 'packets', 64, 1_048_576, {
    effect: 'start',
    help: 'Packet descriptors of the stack. At the bound packets are dropped with NoBuffer.',
    source: 'own: 16 connections with a full window each',
  }),
  'anystack.slots_max': int(8_192, 'slots of 2 KB', 64, 1_048_576, {
    effect: 'start',
    help: 'Slots for headers and small packets we send. At the bound packets are dropped with NoBuffer.',
    source: 'own',
  }),
  'anystack.big_slots_max': int(64, 'slots of 68 KB', 4, 65_536, {
    effect: 'start',
    help: 'Datagrams longer than a frame at one time: reassembled, looped back, or to be fragmented. At the bound they are dropped with NoBuffer.',
    source: 'own',
  }),
  'anystack.socket_memory': int(268_435_456, 'octets', 131_072, 17_179_869_184, {
    effect: 'start',
    help: 'Chunks of all socket buffers together. At the bound writes answer EAGAIN and windows close.',
    source: "Linux's tcp_mem on a machine of 2 GB",
  }),
  'anystack.txqueuelen': int(1_000, 'frames', 1, 100_000, {
    help: 'Frames that wait for a device that does not take them. The newest is dropped with DeviceQueueFull.',
    source: "Linux's txqueuelen",
  }),
  'anystack.ingress_batch': int(64, 'frames', 1, 4_096, {
    help: 'Frames taken from one device in one poll, before timers and other devices get their turn.',
    source: "Linux's net.core.dev_weight; own measurement: 32 to 64",
  }),
  'net.core.rmem_default': int(212_992, 'octets', 2_048, 1_073_741_824, {
    effect: 'new sockets',
    help: 'Receive buffer of UDP, raw and packet sockets.',
    source: 'Linux',
  }),
  'net.core.rmem_max': int(4_194_304, 'octets', 2_048, 1_073_741_824, {
    help: 'Greatest SO_RCVBUF a program may ask for.',
    source: 'Linux (raised)',
  }),
  'net.core.wmem_default': int(212_992, 'octets', 4_608, 1_073_741_824, {
    effect: 'new sockets',
    help: 'Send buffer of UDP, raw and packet sockets.',
    source: 'Linux',
  }),
  'net.core.wmem_max': int(4_194_304, 'octets', 4_608, 1_073_741_824, {
    help: 'Greatest SO_SNDBUF a program may ask for.',
    source: 'Linux (raised)',
  }),
  'net.core.somaxconn': int(4_096, 'connections', 1, 1_048_576, { help: 'Greatest backlog of listen.', source: 'Linux' }),
} as const;
