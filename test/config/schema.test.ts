import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { Prng } from '#src/base/prng.js';
import { type Config, checkConfig, configSchema } from '#src/config/config.js';
import { checkSchema } from '#src/config/schema.js';

type Validate = (value: unknown) => boolean;
const { Ajv2020 } = createRequire(import.meta.url)('ajv/dist/2020.js') as { Ajv2020: new (options: object) => { compile(schema: object): Validate } };

const full = {
  version: 1,
  name: 'gw',
  profile: 'linux',
  sysctl: { 'net.ipv4.ip_forward': 1, 'net.ipv4.tcp_rmem': [4_096, 131_072, 6_291_456], 'net.ipv4.tcp_congestion_control': 'cubic' },
  interfaces: {
    eth0: { device: { type: 'tap', name: 'tap0', hostAddress: ['10.0.0.1/24'] }, addresses: ['10.0.0.2/24'], mtu: 1_400, up: true, vrf: 0 },
    eth1: { device: { type: 'faults', seed: 7, tx: { loss: 0.02 }, of: { type: 'tun', hostAddress: '10.1.0.1/24' } }, addresses: [] },
  },
  neighbors: [{ to: '10.0.0.9', lladdr: '02:00:00:00:00:09', dev: 'eth0' }],
  routes: [
    { to: 'default', via: '10.0.0.1', metric: 5 },
    { to: '10.9.0.0/16', type: 'blackhole' },
  ],
  services: { echo: true, discard: { interfaces: ['eth0'], rate: 5 }, http: { port: 8_080 } },
};

/** The sentence a configuration is refused with. */
function refusal(change: (config: Record<string, never>) => void): string {
  const config = structuredClone(full) as unknown as Record<string, never>;
  change(config);
  try {
    checkConfig(config);
  } catch (error) {
    assert.equal((error as { code?: string }).code, 'ERR_INVALID_CONFIG');
    return (error as Error).message;
  }
  return 'accepted';
}

describe('configuration: schema', () => {
  it('accepts everything it knows', () => {
    assert.deepEqual(checkConfig(full), full);
    assert.deepEqual(checkConfig({}), {});
  });

  const cases: [string, (c: Record<string, never>) => void, string][] = [];
  const wrong = (what: string, change: (c: typeof full & Record<string, unknown>) => void, sentence: string): void =>
    void cases.push([what, change as never, sentence]);

  wrong('a key of the top', (c) => Object.assign(c, { interface: {} }), "interface is unknown; did you mean 'interfaces'?");
  wrong(
    'a key of a device',
    (c) => Object.assign(c.interfaces.eth0.device, { hostAdress: 'x' }),
    "interfaces.eth0.device.hostAdress is unknown; did you mean 'hostAddress'?",
  );
  wrong(
    'a device type',
    (c) => Object.assign(c.interfaces.eth0.device, { type: 'tapp' }),
    'interfaces.eth0.device.type "tapp" is unknown; did you mean \'tap\'?',
  );
  wrong('a missing device', (c) => delete (c.interfaces.eth0 as { device?: unknown }).device, "interfaces.eth0 has no 'device'");
  wrong(
    'a tunable',
    (c) => Object.assign(c.sysctl, { 'net.ipv4.ip_foward': 1 }),
    'sysctl["net.ipv4.ip_foward"] is unknown; did you mean \'net.ipv4.ip_forward\'?',
  );
  wrong(
    'a tunable out of range',
    (c) => Object.assign(c.sysctl, { 'net.ipv4.ip_forward': 7 }),
    'sysctl["net.ipv4.ip_forward"] is to be at most 1, not 7',
  );
  wrong('a triple that descends', (c) => Object.assign(c.sysctl, { 'net.ipv4.tcp_rmem': [3_000_000, 200_000, 100_000] }), 'do not ascend');
  wrong('a type', (c) => Object.assign(c.interfaces.eth0, { mtu: '1500' }), 'interfaces.eth0.mtu is to be an integer, not "1500"');
  wrong(
    'an address without its length',
    (c) => (c.interfaces.eth0.addresses = ['10.0.0.2']),
    "interfaces.eth0.addresses[0] '10.0.0.2' is to be an address with its prefix length, such as 10.0.0.2/24",
  );
  wrong(
    'a group as address',
    (c) => (c.interfaces.eth0.addresses = ['224.0.0.1/24']),
    "interfaces.eth0.addresses[0] '224.0.0.1/24' is an address no interface can have",
  );
  wrong('an address twice', (c) => c.interfaces.eth0.addresses.push('10.0.0.2/16'), "interfaces.eth0.addresses[1] '10.0.0.2/16' is there twice");
  wrong(
    'a next hop off the link',
    (c) => (c.routes[0] = { to: 'default', via: '10.9.9.9' } as never),
    "routes[0].via '10.9.9.9' is on the link of no interface",
  );
  wrong(
    'a route by an interface that is not there',
    (c) => (c.routes[0] = { to: '10.5.0.0/16', dev: 'eth9' } as never),
    "routes[0].dev 'eth9' is no interface; did you mean 'eth0'?",
  );
  wrong('a route to nowhere', (c) => (c.routes[0] = { to: '10.5.0.0/16' } as never), "routes[0] needs 'via' or 'dev'");
  wrong(
    'a neighbour with a group address',
    (c) => ((c.neighbors[0] as { lladdr: string }).lladdr = '01:00:5e:00:00:01'),
    "neighbors[0].lladdr '01:00:5e:00:00:01' is no address of a single station",
  );
  wrong('a service', (c) => Object.assign(c.services, { ecko: true }), "services.ecko is unknown; did you mean 'echo'?");
  wrong(
    'an interface of a service',
    (c) => (c.services.discard.interfaces = ['eth7']),
    "services.discard.interfaces[0] 'eth7' is no interface; did you mean 'eth0'?",
  );
  wrong('a loss above 1', (c) => (c.interfaces.eth1.device.tx = { loss: 2 }), 'interfaces.eth1.device.tx.loss is to be at most 1, not 2');
  wrong('a version of the future', (c) => (c.version = 2), 'version is to be 1, not 2');
  wrong('a name for a path', (c) => (c.name = '../x'), 'name "../x" is not a name of letters');
  wrong('the name of the loopback', (c) => Object.assign(c.interfaces, { lo: c.interfaces.eth0 }), 'interfaces.lo "lo" is not a name');
  for (const [what, change, sentence] of cases) {
    it(`refuses ${what}, in one sentence with the place`, () => {
      const message = refusal(change);
      assert.ok(message.includes(sentence), message);
      assert.ok(!message.includes('\n'));
    });
  }

  it('a value that is no object at all is one sentence too', () => {
    for (const value of [null, 1, 'x', [], true]) assert.throws(() => checkConfig(value), /^ConfigError: the configuration is to be an object, not /);
    assert.throws(() => checkConfig({ interfaces: [] }), /interfaces is to be an object/);
    assert.throws(() => checkConfig({ interfaces: { eth0: null } }), /interfaces.eth0 is to be an object, not null/);
    assert.throws(() => checkConfig({ interfaces: { eth0: { device: null } } }), /interfaces.eth0.device is to be an object with a 'type'/);
  });

  it('says yes and no exactly where ajv does, on 2,000 mutations of a full configuration', () => {
    const schema = configSchema;
    const twin = new Ajv2020({ strict: false, allErrors: false }).compile(schema);
    const prng = new Prng(20_261_122);
    let refused = 0;
    for (let i = 0; i < 2_000; i++) {
      const config = mutated(full, prng);
      const ours = accepts(schema, config);
      assert.equal(ours, twin(config), JSON.stringify(config));
      if (!ours) refused++;
    }
    assert.ok(refused > 300 && refused < 1_900, `${refused} of 2,000 refused: the mutations hit both sides`);
  });
});

function accepts(schema: object, value: unknown): boolean {
  try {
    checkSchema(schema, value);
    return true;
  } catch {
    return false;
  }
}

const ODD = [null, true, 0, -1, 1.5, 1e9, '', 'x', 'eth0', '10.0.0.1/24', [], [1, 2, 3], {}, { type: 'tap' }, { type: 'memory', device: {} }];

/** A copy with one to three values exchanged, keys renamed or members left out. */
function mutated(config: Config | object, prng: Prng): unknown {
  const copy = structuredClone(config) as Record<string, unknown>;
  for (let n = prng.below(4); n > 0; n--) {
    const places = [...walk(copy)];
    const [parent, key] = places[prng.below(places.length)] as [Record<string, unknown>, string];
    const odd = ODD[prng.below(ODD.length)];
    if (prng.below(3) > 0) parent[key] = structuredClone(odd);
    else if (!Array.isArray(parent)) {
      if (prng.below(2) === 0) parent[`${key}x`] = parent[key];
      delete parent[key];
    }
  }
  return copy;
}

function* walk(value: unknown): Generator<[Record<string, unknown>, string]> {
  if (typeof value !== 'object' || value === null) return;
  for (const key of Object.keys(value)) {
    yield [value as Record<string, unknown>, key];
    yield* walk((value as Record<string, unknown>)[key]);
  }
}
