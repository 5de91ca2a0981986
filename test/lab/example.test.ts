/** The lab's YAML is what the product accepts, and the wrong variants are refused where the lab says. */
import assert from 'node:assert/strict';
import { formatConfigError } from '../../config/error.ts';
import { loadHost } from '../../config/host.ts';
import { loadGateway } from '../../config/load.ts';
import { during } from '../../lab/checks/traffic.ts';
import { TENANTS, THIRD_TENANT } from '../../lab/fabrikam.ts';
import { brokenYamls, gatewayYaml } from '../../lab/gateway-yaml.ts';
import { hostYaml } from '../../lab/world/host-yaml.ts';
import { readPing } from '../../lab/world/ping.ts';
import { ok } from '../../lib/result.ts';

const readSecret = () => ok('a secret that is long enough');
const yaml = gatewayYaml(TENANTS, '/secrets');
const load = (text: string) => loadGateway('gateway.yaml', text, readSecret);
const messages = (r: ReturnType<typeof load>): string[] => (r.ok ? [] : r.error.map(formatConfigError));

describe('lab/gateway-yaml', () => {
  it('loads for two tenants and for three', () => {
    for (const tenants of [TENANTS, [...TENANTS, THIRD_TENANT]]) {
      const r = load(gatewayYaml(tenants, '/secrets'));
      assert.deepEqual(messages(r), []);
      assert.ok(r.ok);
      assert.deepEqual(
        r.value.compartments.map((c) => c.routingDomain),
        tenants.map((t) => t.name),
      );
    }
  });
  for (const b of brokenYamls(yaml))
    it(`${b.title}: refused with line, words and cure`, () => {
      const said = messages(load(b.text)).find((m) => m.startsWith(`gateway.yaml:${b.line}:`) && b.words.test(m));
      assert.ok(said, messages(load(b.text)).join('\n'));
      assert.match(said, /:\d+:\d+: [^:]+: .+: .+/);
    });
});

describe('lab/world/host-yaml', () => {
  for (const host of ['host1', 'host2'] as const)
    it(`${host}: loads, with a port for each of its VMs`, () => {
      const r = loadHost('host.yaml', hostYaml(host, TENANTS));
      assert.ok(r.ok, r.ok ? '' : r.error.map(formatConfigError).join('\n'));
      const ports = r.value.routingDomains.flatMap((d) => d.ports.map((p) => p.name));
      assert.deepEqual(
        ports,
        TENANTS.flatMap((t) => t.vms.filter((vm) => vm.host === host).map((vm) => vm.netns)),
      );
    });
});

describe('lab/checks/traffic', () => {
  it('tells lost packets by the step in which they were sent', () => {
    const spans = [
      { name: 'it joins', begin: 10, end: 20 },
      { name: 'it leaves', begin: 22, end: 30 },
    ];
    assert.equal(during([10.5, 21, 12, 29], spans), '2 while it joins, 1 between the steps, 1 while it leaves');
    assert.equal(during([], spans), '');
  });
});

describe('lab/world/ping', () => {
  const line = (seq: number) => `64 bytes from 10.1.0.10: icmp_seq=${seq} ttl=62 time=1.23 ms\n`;
  const end = (sent: number) => `\n--- 10.1.0.10 ping statistics ---\n${sent} packets transmitted, 0 received\n`;
  it('counts gaps, and the tail of a finished ping', () => {
    assert.deepEqual(readPing(line(1) + line(3) + end(4), false), {
      sent: 4,
      received: 2,
      lost: 2,
      lostAt: [],
      errors: 0,
    });
  });
  it('does not hold packets on their way against an interrupted ping', () => {
    assert.equal(readPing(line(1) + line(2) + end(4), true).lost, 0);
    assert.equal(readPing(line(1) + line(3) + end(4), true).lost, 1);
  });
  it('an interrupted ping without any late answer has lost its tail', () => {
    assert.equal(readPing(line(1) + line(2) + end(200), true).lost, 198);
    assert.equal(readPing(end(20), true).lost, 20);
  });
  it('counts a repeated answer once and errors not at all', () => {
    const error = 'From 10.0.254.2 icmp_seq=2 Destination Host Unreachable\n';
    assert.deepEqual(readPing(line(1) + line(1) + error + end(2), false), {
      sent: 2,
      received: 1,
      lost: 1,
      lostAt: [],
      errors: 1,
    });
  });
  it('tells when the lost ones were sent', () => {
    const at = (seq: number, time: number) => `[${time.toFixed(6)}] ${line(seq)}`;
    const { lost, lostAt } = readPing(at(1, 100) + at(2, 101) + at(5, 104) + end(5), true);
    assert.equal(lost, 2);
    assert.deepEqual(lostAt, [102, 103]);
  });
});
