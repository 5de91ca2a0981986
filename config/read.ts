/**
 * YAML nodes to the values of a schema. Unlike zod's own parse it goes on after an error and hands out what could be read, so
 * that one run reports everything that is wrong with a file; zod judges the single values.
 */
import { isMap, isScalar, isSeq, type Node, type YAMLMap } from 'yaml';
import { z } from 'zod';
import type { SubnetMetric } from '../compartments/compartment.ts';
import type { Path, Problem } from './error.ts';
import { nearest } from './nearest.ts';
import { type FieldFacts, fieldFacts, quoted, sectionFacts } from './schema/field.ts';
import type { InterfaceAddress } from './schema/values.ts';
import type { YamlText } from './yaml.ts';

/** What could be read: of a section that has an error, the rest. */
export type Partly<T> = T extends string | number | boolean | undefined | InterfaceAddress | SubnetMetric
  ? T
  : T extends readonly (infer U)[]
    ? readonly (Partly<U> | undefined)[]
    : { readonly [K in keyof T]?: Partly<T[K]> | undefined };

/** Nodes that may be read once more because aliases stand for them. */
const MAX_ALIASED_NODES = 100_000;

const isLeaf = (schema: z.ZodType): boolean =>
  !(schema instanceof z.ZodObject || schema instanceof z.ZodArray || schema instanceof z.ZodUnion);

/** The schema without its default or optional wrapper. */
export const bare = (schema: z.ZodType): z.ZodType =>
  schema instanceof z.ZodOptional || schema instanceof z.ZodDefault ? bare(schema.unwrap() as z.ZodType) : schema;

const kindOf = (node: Node): string => (isMap(node) ? 'a section of keys' : isSeq(node) ? 'a list' : 'text');

class Reader {
  readonly problems: Problem[] = [];
  /** Where aliases came to stand for too much. */
  excess: { readonly path: Path; readonly node: Node } | undefined;
  readonly #text: YamlText;
  #aliased = 0;
  #insideAlias = 0;

  constructor(text: YamlText) {
    this.#text = text;
  }

  #say(code: Problem['code'], path: Path, node: Node | null, problem: string, cure: string): void {
    this.problems.push({ code, path, problem, cure, ...(node?.range && { offset: node.range[0] }) });
  }

  read(wrapped: z.ZodType, node: Node | null, path: Path, facts?: FieldFacts): unknown {
    const target = node && this.#text.targets.get(node);
    if (target) return this.#readAliased(wrapped, node, target, path, facts);
    if (this.#insideAlias && ++this.#aliased > MAX_ALIASED_NODES) return undefined;
    const schema = bare(wrapped);
    if (!node || (isScalar(node) && node.value === '' && node.source === '' && node.type === 'PLAIN'))
      return this.#say('BAD_VALUE', path, node, 'the value is missing', 'write a value, or remove the key');
    if (schema instanceof z.ZodUnion) return this.read(this.#option(schema, node), node, path, facts);
    if (schema instanceof z.ZodObject) return this.#readSection(schema, node, path);
    if (schema instanceof z.ZodArray) return this.#readList(schema, node, path, facts);
    return this.#readScalar(schema, node, path);
  }

  #readAliased(schema: z.ZodType, alias: Node, target: Node, path: Path, facts?: FieldFacts): unknown {
    if (this.#aliased > MAX_ALIASED_NODES) return undefined;
    this.#insideAlias++;
    const value = this.read(schema, target, path, facts);
    this.#insideAlias--;
    if (this.#aliased > MAX_ALIASED_NODES) this.excess ??= { path, node: alias };
    return value;
  }

  #option(schema: z.ZodUnion, node: Node): z.ZodType {
    const options = schema.options as readonly z.ZodType[];
    return options.find((o) => isMap(node) === o instanceof z.ZodObject) ?? options[0]!;
  }

  #readScalar(schema: z.ZodType, node: Node, path: Path): unknown {
    if (!isScalar(node) || typeof node.value !== 'string') {
      const problem =
        isScalar(node) || isMap(node) || isSeq(node)
          ? `text was expected, not ${kindOf(node)}`
          : 'the alias has no anchor before it';
      const cure = isMap(node) ? 'write the value itself; text with braces needs quotes' : 'write the value itself';
      return this.#say('BAD_VALUE', path, node, problem, cure);
    }
    const result = schema.safeParse(node.value);
    if (result.success) return result.data;
    for (const issue of result.error.issues) {
      const { cure, notServed } = (issue.code === 'custom' ? (issue.params ?? {}) : {}) as {
        cure?: string;
        notServed?: boolean;
      };
      this.#say(notServed ? 'NOT_SERVED' : 'BAD_VALUE', path, node, issue.message, cure ?? 'see the reference');
    }
    return undefined;
  }

  /** As with the cmdlets' string[] parameters, a single text counts as a list of one. */
  #readList(schema: z.ZodArray, node: Node, path: Path, facts?: FieldFacts): unknown {
    const element = schema.element as z.ZodType;
    if (isScalar(node) && isLeaf(element)) return [this.read(element, node, path)];
    if (!isSeq(node))
      return this.#say(
        'BAD_VALUE',
        path,
        node,
        `a list was expected, not ${kindOf(node)}`,
        'begin each item with `- `',
      );
    if (node.items.length < (facts?.atLeast ?? 0))
      return this.#say('BAD_VALUE', path, node, 'the list is empty', 'write at least one item');
    return node.items.map((item, i) => this.read(element, item as Node, [...path, i]));
  }

  #readSection(schema: z.ZodObject, node: Node, path: Path): unknown {
    if (!isMap(node))
      return this.#say(
        'BAD_VALUE',
        path,
        node,
        `a section of keys was expected, not ${kindOf(node)}`,
        'write `Key: value` pairs',
      );
    const shape = schema.shape as Readonly<Record<string, z.ZodType>>;
    const values: Record<string, unknown> = {};
    const seen = new Set<string>();
    const meant = new Set<string | undefined>();
    for (const pair of node.items) {
      const keyNode = pair.key as Node;
      const key = isScalar(keyNode) && typeof keyNode.value === 'string' ? keyNode.value : undefined;
      if (key === undefined) {
        this.#say('BAD_VALUE', path, keyNode, 'the key is not plain text', 'write `Key: value`');
      } else if (seen.has(key)) {
        this.#say(
          'DUPLICATE',
          [...path, key],
          keyNode,
          'the key is already there in this section',
          'keep one of the two',
        );
      } else if (Object.hasOwn(shape, key)) {
        values[key] = this.read(shape[key]!, pair.value as Node | null, [...path, key], fieldFacts.get(shape[key]!));
      } else meant.add(this.#foreignKey(schema, shape, key, keyNode, path));
      if (key !== undefined) seen.add(key);
    }
    for (const [key, field] of Object.entries(shape)) {
      if (seen.has(key) || meant.has(key)) continue;
      if (field instanceof z.ZodDefault) values[key] = field.def.defaultValue;
      else if (!(field instanceof z.ZodOptional))
        this.#say('MISSING_KEY', [...path, key], firstOf(node), 'the key is missing', 'add it');
    }
    return values;
  }

  /** Gives the key that was probably meant. */
  #foreignKey(
    schema: z.ZodObject,
    shape: Readonly<Record<string, z.ZodType>>,
    key: string,
    node: Node,
    path: Path,
  ): string | undefined {
    const known = Object.keys(shape);
    if (sectionFacts.get(schema)?.hidden) {
      this.#say('UNKNOWN_KEY', path, node, 'a key here is not known', `the keys here are ${known.join(', ')}`);
      return undefined;
    }
    const here = [...path, key];
    const aliasOf = known.find((k) => fieldFacts.get(shape[k]!)?.aliases?.includes(key));
    if (!aliasOf && sectionFacts.get(schema)?.notServed?.includes(key)) {
      this.#say('NOT_SERVED', here, node, `${quoted(key)} is not served by this version`, 'remove the key');
      return undefined;
    }
    const meant = aliasOf ?? nearest(key, known);
    const cure = meant ? `did you mean ${meant}?` : `the keys here are ${known.join(', ')}`;
    this.#say('UNKNOWN_KEY', here, node, `the key ${quoted(key)} is not known here`, cure);
    return meant;
  }
}

/** A block section has no mark of its own: its first key stands for it. */
function firstOf(map: YAMLMap): Node {
  return map.flow ? map : ((map.items[0]?.key as Node | undefined) ?? map);
}

export interface Reading<T> {
  /** undefined when nothing could be read. */
  readonly value: Partly<T> | undefined;
  readonly problems: readonly Problem[];
}

export function readText<S extends z.ZodObject>(schema: S, text: YamlText): Reading<z.output<S>> {
  if (!text.root) return { value: undefined, problems: text.problems };
  const reader = new Reader(text);
  const value = reader.read(schema, text.root, []) as Partly<z.output<S>> | undefined;
  if (!reader.excess) return { value, problems: reader.problems };
  const { path, node } = reader.excess;
  const problem = `aliases stand for more than ${MAX_ALIASED_NODES} values`;
  const offset = node.range?.[0] ?? 0;
  return { value: undefined, problems: [{ code: 'TOO_LARGE', path, offset, problem, cure: 'write less by alias' }] };
}
