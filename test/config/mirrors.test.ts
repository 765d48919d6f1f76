import assert from 'node:assert/strict';
import { createStack, memoryLink } from '#src/index.js';
import { Far } from '../support/far-end.js';

describe('configuration: mirrors', () => {
  const wan = { device: { type: 'memory' as const, device: memoryLink()[0] }, addresses: ['10.0.0.1/24'] };
  const tap = { type: 'memory' as const, device: memoryLink()[0] };

  it('says what is wrong', () => {
    const wrong = (interfaces: object, what: RegExp): void => assert.throws(() => createStack({ interfaces: interfaces as never }), what);
    wrong({ wan, frr: { device: tap, mirrors: 'wam' } }, /frr\.mirrors names 'wam', which is no interface; did you mean 'wan'/);
    wrong({ wan, frr: { device: tap, mirrors: 'wan', addresses: ['10.0.0.1/24'] } }, /frr\.addresses.*shows the addresses of its port, wan/);
    wrong({ wan, frr: { vlan: { parent: 'wan', id: 2 }, mirrors: 'wan' } }, /frr\.mirrors needs a 'device'/);
    wrong({ wan, a: { device: tap, mirrors: 'wan' }, b: { device: tap, mirrors: 'wan' } }, /b\.mirrors 'wan' belongs to a already/);
    wrong({ wan, a: { device: tap, mirrors: 'wan' }, b: { device: tap, mirrors: 'a' } }, /b\.mirrors 'a' is a mirror itself/);
  });

  it('comes and goes by a reload, and comes anew with its port', async () => {
    const far = new Far();
    const port = { device: memoryLink()[0], addresses: ['10.0.0.1/24'] };
    const frr = { device: Object.assign(memoryLink()[0], { far }), mirrors: 'wan' };
    const stack = createStack({ interfaces: { wan: port } });
    const mirrored = (): string | undefined => stack.core.stacking.mirrored(far.index)?.name;
    stack.reload({ interfaces: { wan: port, frr } });
    assert.equal(mirrored(), 'wan');
    const before = stack.core.interfaces.named('frr')?.index as number;
    const anew = { device: Object.assign(memoryLink()[0], { far }), mirrors: 'wan' };
    stack.reload({ interfaces: { wan: { ...port, device: memoryLink()[0] }, frr: anew } });
    assert.ok((stack.core.interfaces.named('frr')?.index as number) > before);
    assert.ok(far.addresses.has('10.0.0.1/24'));
    stack.reload({ interfaces: { wan: { ...port, device: memoryLink()[0] } } });
    assert.deepEqual([mirrored(), stack.core.interfaces.named('wan')?.master], [undefined, null]);
    await stack.close();
  });

  it('a mirror written before its port is made after it', async () => {
    const stack = createStack({ interfaces: { frr: { device: memoryLink()[0], mirrors: 'wan' }, wan: { ...wan, device: memoryLink()[0] } } });
    assert.deepEqual(
      stack.link.show().map((l) => l.name),
      ['lo', 'wan', 'frr'],
    );
    await stack.close();
  });
});
