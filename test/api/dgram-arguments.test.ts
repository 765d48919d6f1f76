import assert from 'node:assert/strict';
import { createStack } from '#src/index.js';

describe('dgram: arguments as Node checks them', () => {
  it('what is no function, number or text is refused by name, and close takes anything', async () => {
    const stack = createStack({});
    const { createSocket } = stack.dgram;
    for (const key of ['recvBufferSize', 'sendBufferSize'])
      assert.throws(() => createSocket({ type: 'udp4', [key]: 'much' } as never), {
        code: 'ERR_INVALID_ARG_TYPE',
        message: new RegExp(`"options.${key}"`),
      });
    const socket = createSocket('udp4');
    for (const call of ['addSourceSpecificMembership', 'dropSourceSpecificMembership'] as const) {
      assert.throws(() => socket[call](0 as never, '232.0.0.1'), { code: 'ERR_INVALID_ARG_TYPE', message: /"sourceAddress"/ });
      assert.throws(() => socket[call]('10.0.0.1', 0 as never), { code: 'ERR_INVALID_ARG_TYPE', message: /"groupAddress"/ });
      assert.throws(() => socket[call]('10.0.0.1', '0'), { code: 'EINVAL' });
    }
    const closed = new Promise<void>((resolve) => socket.once('close', resolve));
    socket.close('no function' as never);
    await closed;
    await stack.close();
  });
});
