/** The kernel's counters as text. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { parseLines, parsePairs } from '../../kernel/counters.ts';

describe('counters of a compartment', () => {
  it('are read by name, wherever they stand', () => {
    const text = 'TcpExt: A B\nTcpExt: 1 2\nIpExt: InNoRoutes InOctets\nIpExt: 7 700\n';
    const counters = parsePairs(text);
    assert.deepEqual(
      [...counters],
      [
        ['TcpExt.A', 1],
        ['TcpExt.B', 2],
        ['IpExt.InNoRoutes', 7],
        ['IpExt.InOctets', 700],
      ],
    );
    assert.equal(
      parseLines('Ip6InReceives                   \t3\nIp6InNoRoutes                   \t5\n').get('Ip6InNoRoutes'),
      5,
    );
  });

  it('are none when the text is another', () => {
    assert.equal(parsePairs('IpExt: InNoRoutes\nTcpExt: 7\n').size, 0);
    fc.assert(fc.property(fc.string(), (text) => void [parsePairs(text), parseLines(text)]));
  });
});
