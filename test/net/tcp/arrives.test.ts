import assert from 'node:assert/strict';
import { TcpBench } from '../../support/tcp-bench.js';
import { both, established, inState, ms, synchronized } from '../../support/tcp-states.js';

/** RFC 9293 §3.10.7.4 and RFC 5961, check by check, in every state it applies to. */
describe('TCP: SEGMENT ARRIVES, otherwise (RFC 9293 §3.10.7.4)', () => {
  describe('first: the sequence number', () => {
    for (const state of [...synchronized, 'SYN-RECEIVED']) {
      both(`${state}: a segment left of the window draws an ACK and is dropped`, (family) => {
        const t = inState(state, { family });
        t.rx({ seq: t.peer.seq - 1, data: 'x' });
        t.tx({ ack: t.peer.seq });
        t.quiet();
        t.dropped('TcpOutOfWindow');
        assert.equal(t.state, state);
        t.end();
      });

      both(`${state}: a segment right of the window draws an ACK and is dropped`, (family) => {
        const t = inState(state, { family });
        t.rx({ seq: t.peer.seq + 100_000, data: 'x' });
        t.tx({ ack: t.peer.seq });
        t.quiet();
        t.dropped('TcpOutOfWindow');
        t.end();
      });

      both(`${state}: a RST outside the window is dropped in silence`, (family) => {
        const t = inState(state, { family });
        t.rx({ seq: t.peer.seq - 1, flags: 'R' });
        t.rx({ seq: t.peer.seq + 100_000, flags: 'R' });
        t.quiet();
        t.dropped('TcpRstOutOfWindow', 'TcpRstOutOfWindow');
        assert.equal(t.state, state);
        t.end();
      });
    }

    both('answers to invalid segments are limited to one in 500 ms', (family) => {
      const t = established({ family });
      for (let i = 0; i < 10; i++) t.rx({ seq: t.peer.seq + 100_000, data: 'x' });
      t.tx({ ack: 1 });
      t.quiet();
      t.after(ms(501));
      t.rx({ seq: t.peer.seq + 100_000, data: 'x' });
      t.tx({ ack: 1 });
      t.quiet();
      assert.equal(t.ctx.counters.get('TcpExtTCPACKSkipped'), 9);
      t.end();
    });

    both('MUST-66: at a shut window ACK, URG and RST still count, text does not', (family) => {
      const t = established({ family, rcv: { nxt: 1, wnd: 1_000 } });
      t.rx({ seq: 1, data: 1_000 });
      t.tx({ ack: 1_001, wnd: 0 });
      t.write(10);
      t.tx({ flags: 'PA', data: 10 });
      t.rx({ seq: 1_001, ack: 11, data: 'x' });
      assert.equal(t.socket.unackedOctets, 0, 'the ACK counts');
      t.tx({ ack: 1_001, wnd: 0 });
      t.dropped('TcpWindowFull');
      t.rx({ seq: 1_001, ack: 11, flags: 'UA', up: 1 });
      assert.equal(t.socket.urgentOctets, 1_001);
      t.rx({ seq: 1_001, flags: 'R' });
      assert.equal(t.state, 'CLOSED');
      t.end();
    });

    both('what hangs over the edges of the window is trimmed', (family) => {
      const t = established({ family, rcv: { nxt: 101, wnd: 1_000 } });
      t.rx({ seq: 101, ack: 1, data: 'abc' });
      t.tx({ ack: 104 });
      t.rx({ seq: 102, ack: 1, data: 'bcdef' });
      t.tx({ ack: 107, sack: [[102, 104]] });
      assert.equal(Buffer.from(t.read()).toString(), 'abcdef');
      t.end();
    });
  });

  describe('second: the RST bit', () => {
    for (const [state, errno] of [
      ['ESTABLISHED', 104],
      ['FIN-WAIT-1', 104],
      ['FIN-WAIT-2', 104],
      ['CLOSE-WAIT', 32],
      ['CLOSING', 0],
      ['LAST-ACK', 0],
      ['SYN-RECEIVED', 111],
    ] as const) {
      both(`${state}: a RST at RCV.NXT closes, and the application learns ${errno}`, (family) => {
        const t = inState(state, { family });
        t.rx({ flags: 'R' });
        t.quiet();
        t.dropped();
        assert.equal(t.state, 'CLOSED');
        assert.equal(t.socket.takeError(), errno);
        t.end();
      });
    }

    for (const state of synchronized) {
      both(`RFC 5961 §3.2: ${state}: a RST inside the window but not at RCV.NXT draws a challenge ACK`, (family) => {
        const t = inState(state, { family });
        t.rx({ seq: t.peer.seq + 10, flags: 'R' });
        t.tx({ ack: t.peer.seq });
        t.quiet();
        t.dropped('TcpRstOutOfWindow');
        assert.equal(t.state, state);
        t.end();
      });
    }

    both('RFC 793, when the profile says so: any RST inside the window resets', (family) => {
      const t = established({ family, sysctl: { 'anystack.tcp_insecure_rst': 1, 'anystack.tcp_insecure_syn': 1 } });
      t.rx({ seq: t.peer.seq + 10, flags: 'R' });
      assert.equal(t.state, 'CLOSED');
      t.end();
    });

    both('MUST-11: a RST returns a passive SYN-RECEIVED to LISTEN', (family) => {
      const t = new TcpBench({ family });
      t.listen();
      t.rx({ seq: 0, flags: 'S', mss: 1_000 });
      t.syn({ flags: 'SA', ack: 1 });
      t.rx({ seq: 1, flags: 'R' });
      t.quiet();
      assert.equal(t.tcp.flows.count, 0);
      assert.equal(t.state, 'LISTEN');
      t.end();
    });
  });

  describe('fourth: the SYN bit', () => {
    for (const state of synchronized) {
      both(`RFC 5961 §4.2: ${state}: a SYN draws a challenge ACK, wherever it lies`, (family) => {
        const t = inState(state, { family });
        t.rx({ seq: t.peer.seq + 10, flags: 'S' });
        t.tx({ ack: t.peer.seq });
        t.quiet();
        t.dropped('TcpSynInWindow');
        assert.equal(t.state, state);
        t.end();
      });
    }
  });

  describe('fifth: the ACK field', () => {
    for (const state of [...synchronized, 'SYN-RECEIVED']) {
      both(`${state}: a segment without ACK is dropped`, (family) => {
        const t = inState(state, { family });
        t.rx({ flags: 'P', data: 'x' });
        t.quiet();
        t.dropped('TcpNoAck');
        t.end();
      });
    }

    for (const state of synchronized) {
      both(`${state}: an ACK of what was never sent draws an ACK and is dropped`, (family) => {
        const t = inState(state, { family });
        t.rx({ ack: t.nxt + 1 });
        t.tx({ ack: t.peer.seq });
        t.quiet();
        t.dropped('TcpBadAck');
        assert.equal(t.state, state);
        t.end();
      });

      both(`RFC 5961 §5.2: ${state}: an ACK older than the greatest window draws a challenge`, (family) => {
        const t = inState(state, { family });
        t.rx({ ack: t.peer.ack - 65_536 });
        t.tx({ ack: t.peer.seq });
        t.quiet();
        t.dropped('TcpBadAck');
        t.end();
      });
    }

    both('SYN-RECEIVED: an unacceptable ACK draws <SEQ=SEG.ACK><CTL=RST>', (family) => {
      const t = inState('SYN-RECEIVED', { family });
      t.rx({ seq: 1, ack: 7 });
      t.tx({ seq: 7, flags: 'R' });
      t.quiet();
      t.dropped('TcpBadAck');
      assert.equal(t.state, 'SYN-RECEIVED');
      t.end();
    });

    both('SYN-RECEIVED: the ACK of the SYN opens, text and FIN of the same segment count', (family) => {
      const t = inState('SYN-RECEIVED', { family });
      t.rx({ seq: 1, ack: 1, flags: 'FA', data: 'hi' });
      t.tx({ ack: 4 });
      assert.equal(t.state, 'CLOSE-WAIT');
      assert.equal(Buffer.from(t.read()).toString(), 'hi');
      assert.equal(t.readResult(), 0);
      t.end();
    });

    both('FIN-WAIT-1: the ACK of our FIN leads to FIN-WAIT-2', (family) => {
      const t = inState('FIN-WAIT-1', { family });
      t.rx({ ack: t.nxt });
      t.quiet();
      assert.equal(t.state, 'FIN-WAIT-2');
      t.end();
    });

    both('CLOSING: the ACK of our FIN leads to TIME-WAIT', (family) => {
      const t = inState('CLOSING', { family });
      t.rx({ ack: t.nxt });
      t.quiet();
      assert.equal(t.state, 'TIME-WAIT');
      assert.equal(t.tcp.timeWaits.count, 1);
      t.end();
    });

    both('LAST-ACK: the ACK of our FIN closes', (family) => {
      const t = inState('LAST-ACK', { family });
      t.rx({ ack: t.nxt });
      t.quiet();
      assert.equal(t.state, 'CLOSED');
      assert.equal(t.socket.takeError(), 0);
      t.end();
    });

    both('SND.WND follows segments that are not older than the last it was taken from', (family) => {
      const t = established({ family, snd: { nxt: 1, wnd: 2_000 } });
      t.write(3_000);
      t.tx({ seq: 1, data: 1_000 });
      t.tx({ seq: 1_001, data: 1_000 });
      t.quiet();
      t.rx({ ack: 1_001, wnd: 2_000 });
      t.tx({ seq: 2_001, flags: 'PA', data: 1_000 });
      t.rx({ ack: 1, wnd: 9_000 });
      assert.equal(t.tcb.snd.wnd, 2_000, 'an older ACK changes nothing');
      t.end();
    });
  });

  describe('seventh: the text', () => {
    for (const state of ['ESTABLISHED', 'FIN-WAIT-1', 'FIN-WAIT-2']) {
      both(`${state}: text is taken and acknowledged`, (family) => {
        const t = inState(state, { family });
        t.rx({ data: 'text' });
        t.tx({ ack: t.peer.seq + 4 });
        assert.equal(Buffer.from(t.read()).toString(), 'text');
        t.end();
      });
    }

    for (const state of ['CLOSE-WAIT', 'CLOSING', 'LAST-ACK']) {
      both(`${state}: text behind the peer's FIN is ignored`, (family) => {
        const t = inState(state, { family });
        t.rx({ data: 'text' });
        assert.equal(t.socket.available, 0);
        assert.equal(t.state, state);
        t.end();
      });
    }

    both('RFC 2525 §2.17: text for an application that has closed is answered with RST', (family) => {
      const t = established({ family });
      t.app(() => t.socket.close());
      t.tx({ flags: 'FA', seq: 1 });
      t.rx({ ack: 1, data: 'late' });
      t.tx({ flags: 'R', seq: 1 });
      t.quiet();
      t.dropped('TcpAfterClose');
      assert.equal(t.tcp.flows.count, 0);
      t.end();
    });

    both('RFC 2525 §2.17: closing with unread octets resets', (family) => {
      const t = established({ family });
      t.rx({ data: 'unread' });
      t.tx({ ack: 7 });
      t.app(() => t.socket.close());
      t.tx({ flags: 'RA', seq: 1 });
      t.quiet();
      t.end();
    });

    both('out of order: held, reported by SACK, delivered once the gap is filled', (family) => {
      const t = established({ family });
      t.rx({ seq: 4, data: 'def' });
      t.tx({ ack: 1, sack: [[4, 7]] });
      t.rx({ seq: 10, data: 'jkl' });
      t.tx({
        ack: 1,
        sack: [
          [10, 13],
          [4, 7],
        ],
      });
      assert.equal(t.readResult(), -11);
      t.rx({ seq: 1, data: 'abc' });
      t.tx({ ack: 7, sack: [[10, 13]] });
      t.rx({ seq: 7, data: 'ghi' });
      t.tx({ ack: 13, sack: [] });
      assert.equal(Buffer.from(t.read()).toString(), 'abcdefghijkl');
      t.quiet();
      t.end();
    });

    both('RFC 2883 §4: a duplicate is reported once, first', (family) => {
      const t = established({ family });
      t.rx({ seq: 1, data: 'abc' });
      t.tx({ ack: 4 });
      t.rx({ seq: 1, data: 'abc' });
      t.tx({ ack: 4, sack: [[1, 4]] });
      t.dropped('TcpOutOfWindow');
      t.rx({ seq: 7, data: 'ghi' });
      t.tx({ ack: 4, sack: [[7, 10]] });
      t.rx({ seq: 7, data: 'ghi' });
      t.tx({
        ack: 4,
        sack: [
          [7, 10],
          [7, 10],
        ],
      });
      t.dropped('TcpDuplicate');
      t.end();
    });
  });

  describe('eighth: the FIN', () => {
    both('ESTABLISHED: CLOSE-WAIT, and reads end', (family) => {
      const t = inState('CLOSE-WAIT', { family });
      assert.equal(t.readResult(), 0);
      assert.equal(t.socket.readiness() & 32, 32);
      t.write('still');
      t.tx({ flags: 'PA', data: 'still' });
      t.end();
    });

    both('FIN-WAIT-1: without an ACK of ours CLOSING, with it TIME-WAIT', (family) => {
      const closing = inState('CLOSING', { family });
      closing.end();
      const t = inState('FIN-WAIT-1', { family });
      t.rx({ ack: t.nxt, flags: 'FA' });
      t.tx({ seq: t.nxt, ack: t.peer.seq + 1 });
      assert.equal(t.state, 'TIME-WAIT');
      t.end();
    });

    both('FIN-WAIT-2: TIME-WAIT', (family) => {
      const t = inState('TIME-WAIT', { family });
      assert.equal(t.tcp.timeWaits.count, 1);
      t.end();
    });

    both('a FIN behind a gap waits for what is missing', (family) => {
      const t = established({ family });
      t.rx({ seq: 4, data: 'def', flags: 'FA' });
      t.tx({ ack: 1 });
      assert.equal(t.state, 'ESTABLISHED');
      t.rx({ seq: 1, data: 'abc' });
      t.tx({ ack: 8 });
      assert.equal(t.state, 'CLOSE-WAIT');
      assert.equal(Buffer.from(t.read()).toString(), 'abcdef');
      assert.equal(t.readResult(), 0);
      t.end();
    });

    both('LAST-ACK and CLOSING: the FIN once more draws the ACK once more', (family) => {
      for (const state of ['LAST-ACK', 'CLOSING', 'CLOSE-WAIT']) {
        const t = inState(state, { family });
        t.rx({ seq: t.peer.seq - 1, flags: 'FA' });
        t.tx({ ack: t.peer.seq });
        t.quiet();
        t.dropped('TcpOutOfWindow');
        assert.equal(t.state, state);
        t.end();
      }
    });
  });
});
