import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createStack } from '#src/index.js';

describe('groups and routes out of the loopback interface', () => {
  for (const [type, group, here] of [
    ['udp4', '224.0.0.251', '0.0.0.0%lo'],
    ['udp6', 'ff02::fb', '::%lo'],
  ] as const) {
    it(`${type}: what is sent to a group there is heard there, once`, async () => {
      const stack = createStack();
      const member = stack.dgram.createSocket(type);
      member.bind(5_000);
      await once(member, 'listening');
      member.addMembership(group, here);
      const heard: string[] = [];
      member.on('message', (octets) => heard.push(String(octets)));
      const sender = stack.dgram.createSocket(type);
      sender.bind(0);
      await once(sender, 'listening');
      sender.setMulticastInterface(here);
      sender.send('hello', 5_000, group);
      await once(member, 'message');
      sender.send('last', 5_000, group);
      await once(member, 'message');
      assert.deepEqual(heard, ['hello', 'last']);
      sender.close();
      member.close();
      await stack.close();
    });
  }
});
