/** The example files load, and mean what REQUIREMENTS I says. */
import assert from 'node:assert/strict';
import type { LookupRecord } from '../../compartments/compartment.ts';
import type { HostRoutingDomain } from '../../compartments/host.ts';
import { FABRIKAM, gateway, HOST1, host, shown } from './examples.ts';

describe('example files', () => {
  it('fabrikam.yaml: both tenants with the same addresses, three tunnels, defaults of the cmdlets', () => {
    const loaded = gateway(FABRIKAM);
    assert.deepEqual(shown(loaded), []);
    assert.ok(loaded.ok);
    const { compartments, netNats, ...rest } = loaded.value;
    assert.deepEqual(rest, {
      gateway: 'GW-VM',
      encapsulation: 'NVGRE',
      netAdapters: [
        {
          interfaceAlias: 'If2',
          device: 'eth0',
          role: 'External',
          address: { address: '131.107.10.10', prefixLength: 24 },
          defaultGateway: '131.107.10.1',
        },
        { interfaceAlias: 'NIC1', device: 'eth1', role: 'Provider' },
      ],
      providerAddresses: [{ interfaceAlias: 'NIC1', providerAddress: '192.168.4.33', prefixLength: 24 }],
      providerRoutes: [],
    });
    assert.deepEqual(netNats, [
      {
        name: 'AllTenants',
        externalIpInterfaceAddressPrefix: '131.107.10.0/24',
        icmpQueryTimeout: 30,
        tcpEstablishedConnectionTimeout: 1800,
        tcpTransientConnectionTimeout: 120,
        udpIdleSessionTimeout: 120,
        tcpFilteringBehavior: 'EndpointIndependentFiltering',
        udpFilteringBehavior: 'EndpointIndependentFiltering',
        udpInboundRefresh: false,
        portBlockSize: 512,
        portQuarantineSeconds: 120,
        externalAddresses: [{ ipAddress: '131.107.10.10', portStart: 9000, portEnd: 49151, routingDomainIds: [] }],
        staticMappings: [
          {
            routingDomainId: '{11111111-2222-3333-4444-000000000001}',
            protocol: 'TCP',
            externalIpAddress: '131.107.10.10',
            externalPort: 8080,
            internalIpAddress: '10.0.0.10',
            internalPort: 80,
          },
        ],
        oneToOneMappings: [],
        policy: [],
        quotas: [],
        loadBalancingRules: [],
      },
    ]);
    const [contoso, woodgrove] = compartments;
    assert.deepEqual(contoso?.internalInterfaces, [
      { name: 'IfCi1', vsid: 5002, addresses: [{ address: '10.0.254.2', prefixLength: 24 }], mac: '02:48:4e:00:13:8a' },
    ]);
    assert.deepEqual(woodgrove?.internalInterfaces[0]?.addresses, contoso?.internalInterfaces[0]?.addresses);
    assert.deepEqual(contoso?.routes, [
      { destinationPrefix: '10.0.0.0/24', nextHop: '10.0.254.1', interfaceAlias: 'IfCi1', metric: 100 },
    ]);
    assert.deepEqual(woodgrove?.customerRoutes, [
      { vsid: 6001, destinationPrefix: '10.0.0.0/24', metric: 256 },
      { vsid: 6002, destinationPrefix: '10.0.254.0/24', metric: 256 },
      { vsid: 6002, destinationPrefix: '0.0.0.0/0', nextHop: '10.0.254.2', metric: 256 },
    ]);
    assert.deepEqual(contoso?.lookupRecords, [
      {
        customerAddress: '10.0.0.10',
        mac: '10:10:10:10:11:05',
        vsid: 5001,
        providerAddress: '192.168.4.11',
        rule: 'TranslationMethodEncap',
        type: 'Static',
      },
    ]);
    assert.deepEqual(
      compartments.flatMap((c) => c.s2sInterfaces.map((i) => [c.routingDomain, i.name, i.destination, i.persistent])),
      [
        ['Contoso', 'IfCe1', '59.10.10.10', false],
        ['Woodgrove', 'IfWe1', '59.10.10.100', false],
        ['Woodgrove', 'IfWe2', '60.10.10.100', true],
      ],
    );
    const { sharedSecret, ...ny } = contoso!.s2sInterfaces[0]!;
    assert.equal(sharedSecret.reveal(), 'the key of /etc/hnv-gateway/secrets/contoso-ny');
    assert.deepEqual(ny, {
      name: 'IfCe1',
      adminStatus: true,
      destination: '59.10.10.10',
      authenticationMethod: 'PSKOnly',
      subnets: [{ prefix: '10.1.0.0/24', metric: 100 }],
      persistent: false,
      retryIntervalSeconds: 60,
      numberOfTries: 0,
      networkOutageTimeSeconds: 15,
      saLifeTimeSeconds: 3600,
      mmSaLifeTimeSeconds: 28800,
    });
  });

  it('host1.yaml: one VM of each tenant, both 10.0.0.10', () => {
    const loaded = host(HOST1);
    assert.deepEqual(shown(loaded), []);
    assert.ok(loaded.ok);
    assert.deepEqual(
      loaded.value.routingDomains.map((d) => d.ports),
      [
        [{ name: 'contoso-vm', device: 'contoso0', vsid: 5001, mac: '10:10:10:10:11:05', addresses: ['10.0.0.10'] }],
        [
          {
            name: 'woodgrove-vm',
            device: 'woodgrove0',
            vsid: 6001,
            mac: '20:20:20:20:22:05',
            addresses: ['10.0.0.10'],
          },
        ],
      ],
    );
  });

  it('IPv6 inside and outside, VXLAN, and places without address', () => {
    const text = HOST1.replace('Host: Host1', 'Host: Host1\nEncapsulation: VXLAN')
      .replaceAll('192.168.4.11', '"fd00:4::11"')
      .replaceAll('192.168.4.33', '"fd00:4::33"')
      .replace('PrefixLength: 24', 'PrefixLength: 64')
      .replace('IPAddress: 10.0.0.10 }', 'IPAddress: [10.0.0.10, "FD00:1::0:a"] }')
      .replace('CustomerAddress: 10.0.0.10', 'Type: L2Only, CustomerAddress: 0.0.0.0')
      .replace('DestinationPrefix: 0.0.0.0/0, NextHop: 10.0.254.2', 'DestinationPrefix: "fd00:1::/64", NextHop: "::"');
    const loaded = host(text);
    assert.ok(loaded.ok, JSON.stringify(loaded));
    const { encapsulation, providerAddresses, routingDomains } = loaded.value;
    assert.deepEqual(
      [encapsulation, providerAddresses],
      ['VXLAN', [{ interfaceAlias: 'NIC1', providerAddress: 'fd00:4::11', prefixLength: 64 }]],
    );
    const [contoso] = routingDomains as [HostRoutingDomain];
    assert.deepEqual(contoso.ports[0]?.addresses, ['10.0.0.10', 'fd00:1::a']);
    assert.deepEqual(contoso.customerRoutes[2], { vsid: 5002, destinationPrefix: 'fd00:1::/64', metric: 256 });
    assert.deepEqual(
      contoso.lookupRecords.map((r) => [r.type, r.customerAddress, r.providerAddress]),
      [
        ['L2Only', '0.0.0.0', 'fd00:4::11'],
        ['Static', '10.0.254.2', 'fd00:4::33'],
      ],
    );
  });

  it('the VLAN of a provider address, on a gateway and on a host', () => {
    const tagged = (text: string) => text.replace('PrefixLength: 24', 'PrefixLength: 24, VlanID: 100');
    for (const loaded of [gateway(tagged(FABRIKAM)), host(tagged(HOST1))]) {
      assert.ok(loaded.ok);
      assert.equal(loaded.value.providerAddresses[0]?.vlanId, 100);
    }
    const untagged = gateway(FABRIKAM);
    assert.ok(untagged.ok);
    assert.equal(untagged.value.providerAddresses[0]?.vlanId, undefined);
  });

  it('virtual subnets and limits of learning, with their defaults', () => {
    const section = '    NetVirtualizationCustomerRoute:';
    const everywhere = (text: string, more: string) => text.replaceAll(section, `${more}${section}`);
    const subnet = (vsid: number) => `    VirtualSubnet: [{ VirtualSubnetID: ${vsid}, DynamicLearning: true }]\n`;
    const first = HOST1.replace(section, `${subnet(5001)}${section}`);
    const loaded = host(first);
    assert.deepEqual(shown(loaded), []);
    assert.ok(loaded.ok);
    const [contoso, woodgrove] = loaded.value.routingDomains;
    assert.deepEqual(contoso?.virtualSubnets, [
      { vsid: 5001, dynamicLearning: true, ageingTimeSeconds: 300, replication: false, dscp: 'Copy' },
    ]);
    assert.deepEqual(woodgrove?.virtualSubnets, []);
    assert.deepEqual([contoso?.maximumLearnedRecords, contoso?.sourceCheck], [1024, false]);
    const gw = gateway(everywhere(FABRIKAM, '    MaximumLearnedRecords: 7\n    SourceCheck: true\n'));
    assert.ok(gw.ok);
    for (const c of gw.value.compartments)
      assert.deepEqual([c.maximumLearnedRecords, c.sourceCheck, c.virtualSubnets], [7, true, []]);
    const all = FABRIKAM.replace(
      section,
      `    VirtualSubnet: [{ VirtualSubnetID: 5001, AgeingTimeSeconds: 60, Replication: true, DSCP: 46 }]\n${section}`,
    );
    const other = gateway(all);
    assert.ok(other.ok, shown(other).join());
    assert.deepEqual(other.value.compartments[0]?.virtualSubnets, [
      { vsid: 5001, dynamicLearning: false, ageingTimeSeconds: 60, replication: true, dscp: 46 },
    ]);
  });

  it("the hosts' records name the gateway's own MAC addresses", () => {
    const gw = gateway(FABRIKAM);
    const h = host(HOST1);
    assert.ok(gw.ok && h.ok);
    for (const c of gw.value.compartments) {
      const own = c.internalInterfaces[0]!;
      const domain: HostRoutingDomain | undefined = h.value.routingDomains.find(
        (d) => d.routingDomainId === c.routingDomainId,
      );
      const record: LookupRecord | undefined = domain?.lookupRecords.find(
        (r) => r.customerAddress === own.addresses[0]!.address,
      );
      assert.deepEqual([record?.mac, record?.vsid], [own.mac, own.vsid]);
      assert.equal(record?.providerAddress, gw.value.providerAddresses[0]!.providerAddress);
    }
  });
});
