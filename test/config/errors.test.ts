/** Every error code with its exact message and position; each case breaks one thing of a file that is right. */
import assert from 'node:assert/strict';
import { CONFIG_REASONS, type ConfigError, formatConfigError } from '../../config/error.ts';
import { err, ok } from '../../lib/result.ts';
import { CHECKS } from './cases/checks.ts';
import { HOSTS } from './cases/hosts.ts';
import { NAT } from './cases/nat.ts';
import { GATEWAY_POLICY, HOST_POLICY } from './cases/policy.ts';
import { SYNTAX } from './cases/syntax.ts';
import { VALUES } from './cases/values.ts';
import {
  brokenGateway,
  type Case,
  errorsOf,
  FABRIKAM,
  gateway,
  host,
  noSecret,
  SFO_SECRET,
  shown,
} from './examples.ts';

const messages = (lines: readonly string[]) => lines.map((l) => l.slice(l.indexOf(':') + 1));

const each = (cases: readonly Case[], load: (text: string) => readonly string[]) => {
  for (const { what, text, errors } of cases) it(what, () => assert.deepEqual(messages(load(text)), errors));
};

const loaded = new Map<string, readonly ConfigError[]>();
/** Errors of a gateway's file, loaded once for all tests here. */
const errorsIn = (text: string): readonly ConfigError[] => {
  const errors = loaded.get(text) ?? errorsOf(gateway(text));
  loaded.set(text, errors);
  return errors;
};

describe('errors of configuration files', () => {
  describe('syntax', () => {
    each(SYNTAX, (text) => errorsIn(text).map(formatConfigError));
    it('nesting without end', () => {
      // The YAML parser makes an error for every level; with mocha's unlimited stack traces that takes seconds.
      const limit = Error.stackTraceLimit;
      Error.stackTraceLimit = 10;
      try {
        const codes = errorsOf(gateway(`Gateway: ${'['.repeat(30_000)}`)).map((e) => e.code);
        assert.deepEqual(codes, ['YAML_SYNTAX']);
      } finally {
        Error.stackTraceLimit = limit;
      }
    });
  });
  describe('values', () => each(VALUES, (text) => errorsIn(text).map(formatConfigError)));
  describe('checks', () => each(CHECKS, (text) => errorsIn(text).map(formatConfigError)));
  describe('NAT', () => each(NAT, (text) => errorsIn(text).map(formatConfigError)));
  describe('policy of a gateway', () => each(GATEWAY_POLICY, (text) => errorsIn(text).map(formatConfigError)));
  describe('policy of a host', () => each(HOST_POLICY, (text) => shown(host(text))));
  describe('host', () => each(HOSTS, (text) => shown(host(text))));

  describe('secrets from files', () => {
    const SFO = 'gw.yaml:58:31: RoutingDomain[Woodgrove].VpnS2SInterface[IfWe2].SharedSecret.File';
    const FILE = '"/etc/hnv-gateway/secrets/woodgrove-sfo"';
    const from = (text: string) => gateway(FABRIKAM, (path) => ok(path.endsWith('sfo') ? text : 'long enough'));

    it('unreadable', () => {
      const lines = shown(
        gateway(FABRIKAM, (path) => (path.endsWith('sfo') ? err('permission denied') : ok('long enough'))),
      );
      assert.deepEqual(lines, [
        `${SFO}: the secret ${FILE} cannot be read: permission denied: put the file in place and let the gateway read it`,
      ]);
    });
    it('empty', () =>
      assert.deepEqual(shown(from('\n')), [
        `${SFO}: in ${FILE} the secret is empty: choose at least 8 characters; 32 random ones are good`,
      ]));
    it('one line break at the end does not count', () => {
      const loaded = from('correct horse\r\n');
      assert.ok(loaded.ok);
      assert.equal(loaded.value.compartments[1]!.s2sInterfaces[1]!.sharedSecret.reveal(), 'correct horse');
    });
  });

  it('all at once, in the order of the file', () => {
    const text = brokenGateway('10.1.0.0/24:100', '10.1.0.0/99', 'first')
      .replace('Role: Provider', 'Rolle: Provider')
      .replace('IsolationID: 5002', 'IsolationID: 1')
      .replace('60.10.10.100', '59.10.10.10')
      .replace('CustomerAddress: 10.0.0.10', 'CustomerAddress: 10.0.0.1');
    assert.deepEqual(
      errorsOf(gateway(text, noSecret)).map((e) => [e.code, e.line, e.column]),
      [
        ['UNKNOWN_KEY', 7, 43],
        ['BAD_VALUE', 17, 46],
        ['POLICY', 23, 28],
        ['SECRET_UNREADABLE', 31, 31],
        ['BAD_VALUE', 32, 22],
        ['SECRET_UNREADABLE', 52, 31],
        ['CONFLICT', 56, 22],
        ['SECRET_UNREADABLE', 58, 31],
      ],
    );
  });

  it('what a message quotes stands at its position', () => {
    let quoted = 0;
    for (const { text } of [...VALUES, ...CHECKS, ...NAT])
      for (const { code, line, column, problem } of errorsIn(text)) {
        const word = /^(?:the key |there is no \w+ )?"([^"]+)" is/.exec(problem)?.[1];
        if (!word || code === 'MISSING_KEY') continue;
        const there = text
          .split('\n')
          [line - 1]!.slice(column - 1)
          .replace(/^"/, '');
        assert.ok(there.startsWith(word), `${word} is not at ${line}:${column}: ${there}`);
        quoted++;
      }
    assert.ok(quoted > 20);
  });

  it('reach every code of the closed list', () => {
    const reached = new Set([
      ...[...SYNTAX, ...VALUES, ...CHECKS].flatMap(({ text }) => errorsIn(text).map((e) => e.code)),
      ...errorsOf(gateway(FABRIKAM, noSecret)).map((e) => e.code),
    ]);
    assert.deepEqual(
      CONFIG_REASONS.map((r) => r.name).filter((name) => !(reached as ReadonlySet<string>).has(name)),
      [],
    );
  });

  it('never hold the text of a secret', () => {
    const secretText = 'tr0ub4dor&3';
    for (const value of [
      secretText.slice(0, 7),
      `*${secretText}`,
      `!${secretText} x`,
      `{ ${secretText}: }`,
      `[${secretText}]`,
      `"${secretText}\\n"`,
      `"${secretText}\\q"`,
      `${secretText}: x`,
      `@${secretText}`,
    ]) {
      const lines = shown(gateway(brokenGateway(SFO_SECRET, value)));
      assert.ok(lines.length > 0, value);
      assert.ok(!lines.join().includes('tr0ub4'), lines.join());
    }
  });
});
