import assert from 'node:assert/strict';
import type { HostConfig } from '../../compartments/host.ts';
import { DEFAULT_SLOT } from '../../compartments/numbers.ts';
import { describeOp, plan } from '../../compartments/plan.ts';
import type { AnyResource, Resource } from '../../compartments/resource.ts';
import { PROGRAMS } from '../../encap/abi.ts';
import { formerPorts, hostSettings, settingResources } from '../../host/desired.ts';
import type { Mac } from '../../lib/address.ts';

const CONFIG: HostConfig = {
  host: 'host1',
  netAdapters: [],
  providerAddresses: [],
  providerRoutes: [],
  routingDomains: ['Contoso', 'Woodgrove'].map((routingDomain, i) => ({
    routingDomain,
    routingDomainId: `{11111111-2222-3333-4444-00000000000${i}}` as never,
    ports: [{ name: 'vm', device: `vnet${i}.100`, vsid: 5001 + i, mac: '02:00:00:00:00:01' as Mac, addresses: [] }],
    customerRoutes: [],
    lookupRecords: [],
  })),
};
const setting = (name: string, value: string): Resource<'sysctl'> => ({
  kind: 'sysctl',
  key: ` ${name}`,
  slot: DEFAULT_SLOT,
  spec: { netns: '', name, value },
});
const filter = (device: string, program: string, tag: string): Resource<'filter'> => ({
  kind: 'filter',
  key: `${device} ingress`,
  slot: DEFAULT_SLOT,
  spec: { device, direction: 'ingress', program, tag },
});

describe('host/desired', () => {
  it('wants no IPv6 on any tenant’s port and ARP for no address of another device', () => {
    const ports = ['net.ipv6.conf.vnet0/100.disable_ipv6', 'net.ipv6.conf.vnet1/100.disable_ipv6'];
    assert.deepEqual([...hostSettings(CONFIG).keys()], ['net.ipv4.conf.all.arp_ignore', ...ports]);
    const actual = [setting('net.ipv4.conf.all.arp_ignore', '0'), setting(ports[1]!, '0'), setting('net.other', '0')];
    assert.deepEqual(settingResources(hostSettings(CONFIG), actual), [
      setting('net.ipv4.conf.all.arp_ignore', '1'),
      setting(ports[1]!, '1'),
    ]);
  });

  it('leaves the program on a former port, in the version that is loaded, and takes it off a former provider NIC', () => {
    const wanted = [filter('vnet0.100', PROGRAMS.port, 'new')];
    const actual: AnyResource[] = [
      filter('vnet0.100', PROGRAMS.port, 'new'),
      filter('vnet1.100', PROGRAMS.port, 'old'),
      filter('eth1', PROGRAMS.wire, 'old'),
    ];
    const ops = plan([...wanted, ...formerPorts(wanted, actual, 'new')], actual);
    assert.deepEqual(ops.map(describeOp), [
      'delete filter eth1 ingress (flow)',
      'update overlay_port on former port vnet1.100',
    ]);
  });

  it('lets a former port become a provider NIC', () => {
    const wanted = [filter('eth1', PROGRAMS.wire, 'new')];
    const actual = [filter('eth1', PROGRAMS.port, 'new')];
    assert.deepEqual(formerPorts(wanted, actual, 'new'), []);
  });
});
