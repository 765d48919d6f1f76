import assert from 'node:assert/strict';
import { Drop } from '#src/base/drops.js';
import { NetError } from '#src/base/errors.js';
import { Prng } from '#src/base/prng.js';
import { seconds } from '#src/base/time.js';
import { DatagramInfo } from '#src/net/socket/datagram-queue.js';
import { DhcpClient } from '#src/services/dhcp/client.js';
import { DhcpServer } from '#src/services/dhcp/server.js';
import type { DhcpServerSpec } from '#src/services/dhcp/server-spec.js';
import { DnsSettings } from '#src/services/dns/settings.js';
import { CLIENT_PORT, type DhcpMessage, MessageType, Option, parse, write } from '#src/wire/dhcp.js';
import { mutated, octets } from '../../support/octets.js';
import { address, type Host, Net } from '../../support/stacks.js';

const word = (text: string): number => address(text).w3;

describe('DHCPv4', () => {
  let net: Net;
  const clients: DhcpClient[] = [];
  const servers: DhcpServer[] = [];
  const host = (n: number): Host => net.hosts[n] as Host;
  const drops = (n: number, reason: number): number => host(n).stack.ctx.counters.drops[reason] as number;

  /** Host 0 serves from 10.0.0.1; the others have no address unless one is given. */
  function begin(spec: Partial<DhcpServerSpec> = {}, hosts: readonly (readonly string[])[] = [[], []]): void {
    net = new Net([['10.0.0.1/24'], ...hosts]);
    serve(spec);
  }
  function serve(spec: Partial<DhcpServerSpec> = {}): DhcpServer {
    const server = new DhcpServer(host(0).stack, host(0).eth0, { pool: '10.0.0.100-10.0.0.102', probe: false, ...spec }, 'dhcp.servers.eth0');
    servers.push(server);
    return server;
  }
  function start(n: number): { client: DhcpClient; settings: DnsSettings } {
    const settings = new DnsSettings(host(n).stack);
    const client = new DhcpClient(host(n).stack, host(n).eth0, settings, () => {});
    clients.push(client);
    return { client, settings };
  }
  const addressOf = (n: number): string[] => host(n).eth0.addresses.map((a) => `${a.address}/${a.length}`);

  afterEach(() => {
    for (const client of clients.splice(0)) client.stop(false);
    for (const server of servers.splice(0)) server.close();
    net.end();
  });

  it('RFC 2131 §3.1: discover, offer, request, ack; address, route, MTU and name servers are set', () => {
    begin({ router: '10.0.0.254', dns: ['10.0.0.53'], domain: 'example.org', mtu: 1_400 });
    const { client, settings } = start(1);
    net.run(seconds(1));
    assert.equal(client.state, 'bound');
    assert.deepEqual(addressOf(1), ['10.0.0.100/24']);
    const [route] = host(1)
      .stack.ip.routes.list()
      .filter((r) => r.protocol === 'dhcp');
    assert.deepEqual([route?.length, `${route?.gateway}`, route?.metric], [0, '10.0.0.254', 100]);
    assert.equal(host(1).eth0.mtu, 1_400);
    assert.deepEqual([settings.servers.map((s) => `${s.address}`), settings.search], [['10.0.0.53'], ['example.org']]);
    client.stop(true);
    net.run(seconds(1));
    assert.deepEqual(addressOf(1), []);
    assert.equal(host(1).eth0.mtu, 1_500);
    assert.deepEqual(
      host(1)
        .stack.ip.routes.list()
        .filter((r) => r.protocol === 'dhcp'),
      [],
    );
    assert.deepEqual([settings.servers, settings.search], [[], []]);
    assert.deepEqual(servers[0]?.leases(), []);
  });

  it('RFC 2131 §4.4.5: renewed at half time by unicast, rebound at seven eighths by broadcast, given up at the end', () => {
    begin({ leaseTime: 1_000 });
    const { client } = start(1);
    net.run(seconds(1));
    const began = client.began;
    net.run(seconds(505));
    assert.equal(client.state, 'bound');
    assert.ok(client.began > began + seconds(499));
    servers.pop()?.close();
    net.run(seconds(505));
    assert.equal(client.state, 'renewing');
    net.run(seconds(380));
    assert.equal(client.state, 'rebinding');
    serve({ leaseTime: 1_000 });
    net.run(seconds(70));
    assert.equal(client.state, 'bound');
    servers.pop()?.close();
    net.run(seconds(1_100));
    assert.equal(client.state, 'selecting');
    assert.deepEqual(addressOf(1), []);
  });

  it('leases run through suspend', () => {
    begin({ leaseTime: 1_000 });
    const { client } = start(1);
    net.run(seconds(1));
    host(1).host.suspend(seconds(2_000));
    servers.pop()?.close();
    net.run(seconds(120));
    assert.equal(client.state, 'selecting');
    assert.deepEqual(addressOf(1), []);
  });

  it('RFC 2131 §3.2: a lease in the store is asked for again after a restart, and refused on another network', () => {
    begin();
    const before = start(1).client;
    net.run(seconds(1));
    before.stop(false);
    assert.deepEqual(addressOf(1), []);
    const again = start(1).client;
    assert.equal(again.state, 'rebooting');
    net.run(seconds(1));
    assert.deepEqual([again.state, addressOf(1)], ['bound', ['10.0.0.100/24']]);
    again.stop(false);
    servers.pop()?.close();
    host(0).stack.addresses.remove(host(0).eth0, address('10.0.0.1'));
    host(0).stack.addAddress(host(0).eth0, { address: address('10.5.0.1'), length: 16 });
    serve({ pool: '10.5.0.7-10.5.0.9' });
    const moved = start(1).client;
    net.run(seconds(5));
    assert.deepEqual([moved.state, addressOf(1)], ['bound', ['10.5.0.7/16']]);
  });

  it('RFC 2131 §3.7: a carrier that comes back has the lease confirmed; connections keep their address', () => {
    begin();
    const { client } = start(1);
    net.run(seconds(1));
    host(1).device.setCarrier(false);
    net.run(seconds(1));
    host(1).device.setCarrier(true);
    client.linkChanged();
    assert.deepEqual([client.state, addressOf(1)], ['rebooting', ['10.0.0.100/24']]);
    net.run(seconds(1));
    assert.equal(client.state, 'bound');
  });

  it('RFC 2131 §4.4.4: an address that another station has is declined, and the next one taken', () => {
    begin({}, [[], ['10.0.0.100/24']]);
    const { client } = start(1);
    net.run(seconds(3));
    assert.equal(client.state, 'waiting');
    net.run(seconds(12));
    assert.deepEqual([client.state, addressOf(1)], ['bound', ['10.0.0.101/24']]);
  });

  it('RFC 2131 §4.3.1: the server asks first whether somebody has the address', () => {
    begin({ probe: true }, [[], ['10.0.0.100/24']]);
    const { client } = start(1);
    net.run(seconds(3));
    assert.deepEqual([client.state, addressOf(1)], ['bound', ['10.0.0.101/24']]);
  });

  it('reservations, a full pool with its reason, leases that survive the server', () => {
    begin({ pool: '10.0.0.100-10.0.0.100', reservations: [{ mac: host1mac(), address: '10.0.0.9' }] });
    const [one, two] = [start(1), start(2)];
    net.run(seconds(8));
    // Ours has a client identifier, which wins over the station address.
    assert.equal([one, two].filter(({ client }) => client.state === 'bound').length, 1);
    assert.ok(drops(0, Drop.DhcpPoolFull) > 0);
    const [lease] = servers[0]?.leases() ?? [];
    servers.pop()?.close();
    assert.deepEqual(serve({ pool: '10.0.0.100-10.0.0.100' }).leases(), [lease]);
  });

  it('a reservation by client identifier', () => {
    begin();
    const { client } = start(1);
    net.run(seconds(1));
    const [lease] = servers[0]?.leases() ?? [];
    client.stop(true);
    servers.pop()?.close();
    net.run(seconds(1));
    serve({ reservations: [{ clientId: (lease?.client ?? '').slice(3), address: '10.0.0.9' }] });
    start(1);
    net.run(seconds(1));
    assert.deepEqual(addressOf(1), ['10.0.0.9/24']);
  });

  it('answers of another exchange, to another station, out of turn or without sense change nothing', () => {
    begin({}, [[], []]);
    servers.pop()?.close();
    const { client } = start(1);
    net.run(seconds(0.1));
    const forge = (change: Partial<DhcpMessage>, type: number): void => {
      const options = new Map([
        [Option.MessageType, Uint8Array.of(type)],
        [Option.ServerId, octets('0a000001')],
        [Option.LeaseTime, octets('00000e10')],
      ]);
      const head = {
        op: 2,
        xid: 1,
        secs: 0,
        flags: 0,
        ciaddr: 0,
        yiaddr: word('10.0.0.66'),
        siaddr: 0,
        giaddr: 0,
        chaddr: host(1).eth0.mac,
        options,
      };
      const socket = host(0).stack.udp.openSocket(4);
      socket.setOption('SO_BROADCAST', 1);
      socket.bind(null, 67);
      const message = write({ ...head, ...change }, 548);
      socket.sendTo(message, 0, message.length, address('255.255.255.255'), CLIENT_PORT);
      socket.close();
      net.run(seconds(0.1));
    };
    forge({}, MessageType.Offer);
    forge({}, MessageType.Ack);
    forge({}, MessageType.Nak);
    assert.equal(drops(1, Drop.DhcpUnexpected), 3);
    const seen = sniffXid(client);
    forge({ xid: seen, chaddr: host(0).eth0.mac }, MessageType.Offer);
    forge({ xid: seen, op: 1 }, MessageType.Offer);
    forge({ xid: seen }, MessageType.Ack);
    assert.equal(drops(1, Drop.DhcpUnexpected), 6);
    forge({ xid: seen, yiaddr: word('224.0.0.1') }, MessageType.Offer);
    assert.equal(drops(1, Drop.DhcpMalformed), 1);
    assert.equal(client.state, 'selecting');
    forge({ xid: seen }, MessageType.Offer);
    assert.equal(client.state, 'requesting');
    forge({ xid: seen, yiaddr: word('10.0.0.67') }, MessageType.Ack);
    assert.equal(client.state, 'requesting');
    forge({ xid: seen }, MessageType.Nak);
    assert.equal(client.state, 'waiting');
  });

  it('RFC 2131 §4.3.5: an inform is answered on the link and nowhere else; relayed messages are not', () => {
    begin({ domain: 'example.org' }, [['10.0.0.7/24'], []]);
    const socket = host(1).stack.udp.openSocket(4);
    socket.setOption('SO_BROADCAST', 1);
    socket.bind(null, CLIENT_PORT);
    const options = new Map([[Option.MessageType, Uint8Array.of(MessageType.Inform)]]);
    const head = { op: 1, xid: 9, secs: 0, flags: 0, yiaddr: 0, siaddr: 0, giaddr: 0, chaddr: host(1).eth0.mac, options };
    const answers = (ciaddr: string, change: Partial<DhcpMessage> = {}): number => {
      const message = write({ ...head, ciaddr: word(ciaddr), ...change }, 548);
      socket.sendTo(message, 0, message.length, address('10.0.0.1'), 67);
      net.run(seconds(1));
      let n = 0;
      const into = new Uint8Array(2_048);
      for (
        let length = socket.receive(into, 0, 2_048, new DatagramInfo());
        length >= 0;
        length = socket.receive(into, 0, 2_048, new DatagramInfo())
      ) {
        const answer = parse(into, 0, length) as DhcpMessage;
        assert.deepEqual([answer.yiaddr, answer.options.has(Option.LeaseTime), answer.options.has(Option.DomainName)], [0, false, true]);
        n++;
      }
      return n;
    };
    assert.equal(answers('10.0.0.7'), 1);
    assert.equal(answers('192.0.2.1'), 0);
    assert.equal(answers('10.0.0.7', { giaddr: word('10.0.0.9') }), 0);
    assert.equal(drops(0, Drop.DhcpUnexpected), 2);
    socket.close();
  });

  it('a store that fails costs a line in the log, and nothing else', () => {
    begin();
    const broken = (): never => {
      throw new NetError('EIO', 'store');
    };
    start(1).client.stop(false); // the identifier of the host is made
    Object.assign(host(1).host.store, { set: broken, delete: broken });
    const { client } = start(1);
    net.run(seconds(1));
    assert.equal(client.state, 'bound');
    client.stop(true);
    assert.deepEqual(addressOf(1), []);
  });

  it('mutated offers and acknowledgements: the client comes through, and a real server is heard', () => {
    begin();
    servers.pop()?.close();
    const prng = new Prng(2_131);
    const { client } = start(1);
    const socket = host(0).stack.udp.openSocket(4);
    socket.setOption('SO_BROADCAST', 1);
    socket.bind(null, 67);
    for (let n = 0; n < 1_000; n++) {
      const options = new Map([
        [Option.MessageType, Uint8Array.of(n % 3 === 0 ? MessageType.Ack : MessageType.Offer)],
        [Option.ServerId, octets('0a000001')],
        [Option.LeaseTime, octets('00000020')],
        [Option.SearchList, octets('016100 0162c000')],
        [Option.ClasslessRoutes, octets('18c0a80100000000')],
        [Option.Mtu, octets('0578')],
      ]);
      const head = { op: 2, xid: sniffXid(client), secs: 0, flags: 0, ciaddr: 0, yiaddr: word('10.0.0.77'), siaddr: 0, giaddr: 0 };
      const message = mutated(write({ ...head, chaddr: host(1).eth0.mac, options }, 548).subarray(0, 285), prng);
      socket.sendTo(message, 0, message.length, address('255.255.255.255'), CLIENT_PORT);
      net.run(seconds(0.1));
    }
    socket.close();
    net.run(seconds(200));
    serve();
    net.run(seconds(200));
    assert.deepEqual([client.state, addressOf(1)], ['bound', ['10.0.0.100/24']]);
  });

  it('mutated messages reach neither end', () => {
    begin();
    const prng = new Prng(6_768);
    const { client } = start(1);
    net.run(seconds(1));
    const seed = write(
      {
        op: 1,
        xid: 5,
        secs: 0,
        flags: 0,
        ciaddr: 0,
        yiaddr: 0,
        siaddr: 0,
        giaddr: 0,
        chaddr: host(2).eth0.mac,
        options: new Map([
          [Option.MessageType, Uint8Array.of(3)],
          [Option.RequestedAddress, octets('0a000065')],
          [Option.ClientId, octets('0102')],
        ]),
      },
      548,
    );
    const socket = host(2).stack.udp.openSocket(4);
    host(2).stack.addAddress(host(2).eth0, { address: address('10.0.0.200'), length: 24 });
    socket.setOption('SO_BROADCAST', 1);
    for (let n = 0; n < 1_000; n++) {
      const message = mutated(seed.subarray(0, 265), prng);
      for (const port of [67, 68]) socket.sendTo(message, 0, message.length, address('255.255.255.255'), port);
      net.run(seconds(0.02));
    }
    assert.ok(drops(0, Drop.DhcpTruncated) > 0 && drops(0, Drop.DhcpUnexpected) > 0);
    socket.close();
    assert.deepEqual([client.state, addressOf(1)], ['bound', ['10.0.0.100/24']]);
    assert.ok((servers[0]?.leases().length ?? 99) <= 3);
  });
});

const host1mac = (): string => '02:00:00:00:00:99';
const sniffXid = (client: DhcpClient): number => (client as unknown as { speaker: { xid: number } }).speaker.xid;
