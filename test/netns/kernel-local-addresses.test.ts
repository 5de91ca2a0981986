/** Which addresses can be dialled from: as they come and go with their devices. */
import assert from 'node:assert/strict';
import { usableAddresses } from '../../kernel/local-addresses.ts';
import { Namespaces } from '../../kernel/namespaces.ts';
import { titled } from '../kernel/titled.ts';
import { cannotMakeNamespaces, until, World } from './world.ts';

const missing = cannotMakeNamespaces();

describe(titled('usable addresses', missing), () => {
  let world: World;
  before(function () {
    if (missing) this.skip();
    world = new World();
  });
  after(() => world?.close());

  it('are those on devices that are up and have a carrier, of the namespace alone', async () => {
    const [home, far] = [world.ns('home'), world.ns('far')];
    const namespaces = new Namespaces({ home: world.nsPath(home) });
    world.onClose(() => namespaces.closeAll());
    const usable = (): readonly string[] => [...usableAddresses(namespaces)].filter((a) => !a.startsWith('127.'));
    world.wire(home, 'nic', far, 'nic');
    world.sh(far, 'ip addr add 131.107.10.20/24 dev nic');
    assert.deepEqual(usable(), []);
    world.sh(home, 'echo 0 > /proc/sys/net/ipv6/conf/nic/disable_ipv6; ip addr add 131.107.10.10/24 dev nic');
    world.sh(home, 'ip addr add 2001:db8::10/64 dev nic nodad');
    await until(() => usable().includes('131.107.10.10'));
    assert.ok(usable().includes('2001:db8::10'));
    world.sh(far, 'ip link set nic down');
    await until(() => usable().length === 0, undefined, 'no carrier');
    world.sh(far, 'ip link set nic up');
    await until(() => usable().includes('131.107.10.10'));
    world.sh(home, 'ip addr del 131.107.10.10/24 dev nic');
    assert.ok(!usable().includes('131.107.10.10'));
    assert.ok(usable().includes('2001:db8::10'));
    world.sh(home, 'ip link set nic down');
    assert.deepEqual(usable(), []);
  });
});
