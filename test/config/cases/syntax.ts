/** Text that is not the YAML of a configuration. */
import { MAX_BYTES } from '../../../config/yaml.ts';
import type { Case } from '../examples.ts';

/** 200 tenants by alias, each with 600 records by alias. */
const wideAliases = (): string => {
  const record =
    '{ CustomerAddress: 10.0.0.9, MACAddress: "020000000009", VirtualSubnetID: 5001, ProviderAddress: 10.9.9.9 }';
  const records = `[&r ${record}${', *r'.repeat(599)}]`;
  return `Gateway: G\nRoutingDomain:\n  - &d { Name: A, NetVirtualizationLookupRecord: ${records} }\n${'  - *d\n'.repeat(199)}`;
};

export const SYNTAX: readonly Case[] = [
  {
    what: 'a file that is too large',
    text: '#'.repeat(MAX_BYTES + 1),
    errors: ['1:1: (file): the file is larger than 8 MiB: split the tenants over more gateways'],
  },
  {
    what: 'aliases that expand to too much',
    text: wideAliases(),
    errors: [
      '3:883: RoutingDomain[A].NetVirtualizationLookupRecord[181]: aliases stand for more than 100000 values: write less by alias',
    ],
  },
  {
    what: 'an empty file',
    text: '',
    errors: ['1:1: (file): the file is empty: write the configuration'],
  },
  {
    what: 'only comments',
    text: '# nothing\n\n',
    errors: ['1:1: (file): the file is empty: write the configuration'],
  },
  {
    what: 'a tab as indentation',
    text: 'Gateway: G\nNetAdapter:\n\t- { Device: eth0 }\n',
    errors: ['3:1: (file): a tab is used as indentation: indent with spaces'],
  },
  {
    what: 'an open bracket',
    text: 'Gateway: G\nNetAdapter: [\n',
    errors: [
      '3:1: (file): a bracket or brace before it is not closed, or the indentation does not fit: close it, or align the line with its neighbours',
    ],
  },
  {
    what: 'two documents',
    text: 'Gateway: G\n---\nGateway: H\n',
    errors: ['2:1: (file): a second document begins: keep one document in a file, without another `---`'],
  },
  {
    what: 'a reserved character',
    text: 'Gateway: @home\n',
    errors: ['1:10: (file): the text holds characters that YAML reserves: put the value in quotes'],
  },
  {
    what: 'an unknown tag',
    text: 'Gateway: !secret x\n',
    errors: ['1:10: (file): a tag (!) is not known here: remove the tag, or put the value in quotes'],
  },
  {
    what: 'an alias without anchor',
    text: 'Gateway: *nobody\n',
    errors: ['1:10: Gateway: the alias has no anchor before it: write the value itself'],
  },
  {
    what: 'a list instead of keys',
    text: '- Gateway: G\n',
    errors: ['1:1: (file): a section of keys was expected, not a list: write `Key: value` pairs'],
  },
  {
    what: 'text instead of keys',
    text: 'Gateway\n',
    errors: ['1:1: (file): a section of keys was expected, not text: write `Key: value` pairs'],
  },
  {
    what: 'a key that is not text',
    text: 'Gateway: G\n? [a]\n: b\n',
    errors: ['2:3: (file): the key is not plain text: write `Key: value`'],
  },
];
