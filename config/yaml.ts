/**
 * YAML 1.2 text to nodes with offsets. Every scalar stays the text that was written (the failsafe schema), so that
 * `MACAddress: 001010101105` or `Name: 010` cannot turn into a number on the way. Messages are our own: those of the parser
 * quote the text, which may be a secret.
 */
import { isAlias, isMap, isNode, isSeq, type Node, parseDocument, type YAMLError } from 'yaml';
import type { Problem } from './error.ts';

export const MAX_BYTES = 8 * 1024 * 1024;

export interface Position {
  readonly line: number;
  readonly column: number;
}

/** Offset (UTF-16 units) to line and column, both from 1; offsets outside the text are pulled to its ends. */
export function positions(text: string): (offset: number) => Position {
  const starts = [0];
  for (let i = text.indexOf('\n'); i >= 0; i = text.indexOf('\n', i + 1)) starts.push(i + 1);
  return (offset) => {
    const at = Math.min(Math.max(0, offset), text.length);
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (starts[middle]! <= at) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: at - starts[low]! + 1 };
  };
}

type Syntax = readonly [problem: string, cure: string];

const BAD_INDENT: Syntax = [
  'a bracket or brace before it is not closed, or the indentation does not fit',
  'close it, or align the line with its neighbours',
];
const BAD_ANCHOR: Syntax = ['an anchor, alias or tag stands where YAML does not allow it', 'write the value out'];
const QUOTE: Syntax = ['the text holds characters that YAML reserves', 'put the value in quotes'];
const BAD_KEY: Syntax = ['this cannot be a key', 'write `Key: value` with a plain one-line key'];

const SYNTAX: Readonly<Record<YAMLError['code'], Syntax>> = {
  ALIAS_PROPS: BAD_ANCHOR,
  BAD_ALIAS: BAD_ANCHOR,
  BAD_COLLECTION_TYPE: BAD_ANCHOR,
  BAD_DIRECTIVE: ['the % directive is not known', 'remove the line'],
  BAD_DQ_ESCAPE: [
    'a backslash sequence inside double quotes is not known',
    'double the backslash, or use single quotes',
  ],
  BAD_INDENT,
  BAD_PROP_ORDER: BAD_ANCHOR,
  BAD_SCALAR_START: QUOTE,
  BLOCK_AS_IMPLICIT_KEY: [
    'a value begins a second `key: value` on the same line',
    'put it in quotes or on a line of its own',
  ],
  BLOCK_IN_FLOW: ['an indented block stands inside { } or [ ]', 'write it inside the brackets, or drop the brackets'],
  DUPLICATE_KEY: BAD_KEY,
  IMPOSSIBLE: ['this is not YAML', 'correct the line'],
  KEY_OVER_1024_CHARS: BAD_KEY,
  MISSING_CHAR: [
    'a bracket, brace, quote, comma, colon or space is missing',
    'close what was opened, and put a space after `:` and `-`',
  ],
  MULTILINE_IMPLICIT_KEY: BAD_KEY,
  MULTIPLE_ANCHORS: BAD_ANCHOR,
  MULTIPLE_DOCS: ['a second document begins', 'keep one document in a file, without another `---`'],
  MULTIPLE_TAGS: BAD_ANCHOR,
  NON_STRING_KEY: BAD_KEY,
  RESOURCE_EXHAUSTION: ['the nesting is deeper than any configuration needs', 'remove the brackets or dashes'],
  TAB_AS_INDENT: ['a tab is used as indentation', 'indent with spaces'],
  TAG_RESOLVE_FAILED: ['a tag (!) is not known here', 'remove the tag, or put the value in quotes'],
  UNEXPECTED_TOKEN: ['YAML does not expect this here', 'look for a missing quote, bracket or line break before it'],
};

export interface YamlText {
  /** Absent when there are problems. */
  readonly root?: Node;
  /** What an alias stands for: the last anchor of its name before it (YAML 1.2.2 §7.1). */
  readonly targets: ReadonlyMap<Node, Node>;
  readonly problems: readonly Problem[];
}

export function parseYaml(text: string): YamlText {
  const refuse = (...problems: Problem[]): YamlText => ({ targets: new Map(), problems });
  const whole = { path: [], offset: 0 };
  if (text.length > MAX_BYTES || new TextEncoder().encode(text).length > MAX_BYTES)
    return refuse({
      ...whole,
      code: 'TOO_LARGE',
      problem: `the file is larger than ${MAX_BYTES / 1024 / 1024} MiB`,
      cure: 'split the tenants over more gateways',
    });
  const doc = parseDocument(text, { schema: 'failsafe', uniqueKeys: false, prettyErrors: false });
  if (doc.errors.length || doc.warnings.length)
    return refuse(...syntaxProblems(text, [...doc.errors, ...doc.warnings]));
  if (!doc.contents || doc.contents.range?.[0] === doc.contents.range?.[1])
    return refuse({ ...whole, code: 'EMPTY_FILE', problem: 'the file is empty', cure: 'write the configuration' });
  return { root: doc.contents, targets: aliasTargets(doc.contents), problems: [] };
}

/** One problem a line: the parser stumbles on after its first finding, and the rest of the line says nothing new. */
function syntaxProblems(text: string, errors: readonly YAMLError[]): Problem[] {
  const at = positions(text);
  const lines = new Map<number, Problem>();
  for (const e of [...errors].sort((a, b) => a.pos[0] - b.pos[0])) {
    const { line } = at(e.pos[0]);
    const [problem, cure] = SYNTAX[e.code];
    if (!lines.has(line)) lines.set(line, { code: 'YAML_SYNTAX', path: [], offset: e.pos[0], problem, cure });
  }
  return [...lines.values()];
}

function aliasTargets(root: Node): Map<Node, Node> {
  const anchors = new Map<string, Node>();
  const targets = new Map<Node, Node>();
  const visit = (node: unknown): void => {
    if (!isNode(node)) return;
    if (isAlias(node)) {
      const target = anchors.get(node.source);
      if (target) targets.set(node, target);
      return;
    }
    if (isMap(node))
      for (const pair of node.items) {
        visit(pair.key);
        visit(pair.value);
      }
    else if (isSeq(node)) node.items.forEach(visit);
    // After the children: an anchor inside its own node would be a cycle.
    const { anchor } = node as { anchor?: string };
    if (anchor) anchors.set(anchor, node);
  };
  visit(root);
  return targets;
}
