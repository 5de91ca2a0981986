/**
 * What can be wrong with a configuration file: a closed list of codes with numbers of the one reason list (`lib/reason.ts`;
 * config holds 256 … 511), and the one form in which errors are shown.
 */
import type { Reason } from '../lib/reason.ts';

const REASONS = {
  TOO_LARGE: [
    256,
    'The file, or what its aliases expand to, is larger than the limit.',
    'Split the tenants over more gateways, or write less by alias.',
  ],
  YAML_SYNTAX: [257, 'The text is not YAML 1.2.', 'Correct the syntax at the position shown.'],
  EMPTY_FILE: [258, 'The file holds no configuration.', 'Write at least the name of the gateway or host.'],
  UNKNOWN_KEY: [259, 'The key is in no section of the reference.', 'Correct the spelling, or remove the key.'],
  MISSING_KEY: [260, 'A required key is absent.', 'Add the key.'],
  BAD_VALUE: [261, 'The value has the wrong form or lies outside its range.', 'Write the value as the reference says.'],
  DUPLICATE: [262, 'Something that must be unique is there twice.', 'Rename or remove one of the two.'],
  CONFLICT: [263, 'Two settings, each right by itself, contradict each other.', 'Change one of the two.'],
  UNKNOWN_REFERENCE: [
    264,
    'The name refers to something that the file does not define.',
    'Correct the name, or define what it names.',
  ],
  UNREACHABLE: [
    265,
    'The next hop is on no connected prefix of the interface.',
    'Choose a next hop on the prefix of the interface.',
  ],
  NOT_SERVED: [
    266,
    'The product has this feature in its plan; this version does not serve it.',
    'Remove the key or value.',
  ],
  SECRET_UNREADABLE: [
    267,
    'The file of a secret cannot be read.',
    'Put the file in place and let the gateway read it.',
  ],
  WEAK_SECRET: [
    268,
    'A pre-shared key is empty or too short.',
    'Choose at least 8 characters; 32 random ones are good.',
  ],
  POLICY: [
    269,
    'The overlay policy of a VM network contradicts itself.',
    'Correct the lookup record or customer route.',
  ],
} as const satisfies Readonly<Record<string, readonly [number, string, string]>>;

export type ConfigErrorCode = keyof typeof REASONS;

/** The codes as reasons, for `docs/reasons.md` and for JSON output. */
export const CONFIG_REASONS: readonly Reason[] = Object.entries(REASONS).map(([name, [number, meaning, cure]]) => ({
  number,
  name,
  area: 'config',
  meaning,
  cure,
}));

export interface ConfigError {
  readonly code: ConfigErrorCode;
  readonly file: string;
  readonly line: number; // 1 …
  readonly column: number; // 1 …, in UTF-16 units
  readonly path: string; // `RoutingDomain[Contoso].NetRoute[0].NextHop`
  readonly problem: string;
  readonly cure: string;
}

/** `file:line:column: path: what is wrong: what to do`, one line. */
export const formatConfigError = (e: ConfigError): string =>
  `${e.file}:${e.line}:${e.column}: ${e.path}: ${e.problem}: ${e.cure}`;

/** Keys and list indexes from the root of the file. */
export type Path = readonly (string | number)[];

/** A finding before it has a line: by path, or by offset into the text where the path is not enough. */
export interface Problem {
  readonly code: ConfigErrorCode;
  readonly path: Path;
  readonly offset?: number;
  readonly problem: string;
  readonly cure: string;
}
