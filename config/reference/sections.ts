/** The sections of a schema in reading order, as data for the reference and for the test that compares the two. */
import { z } from 'zod';
import { bare } from '../read.ts';
import { fieldFacts, sectionFacts, valueFacts } from '../schema/field.ts';

export interface Key {
  readonly name: string;
  /** `a list of …`, `text or …`; a section is named by its title in square brackets. */
  readonly value: string;
  readonly required: boolean;
  /** As it would be written in YAML. */
  readonly default?: string;
  readonly description: string;
  readonly aliases: readonly string[];
}

export interface Section {
  readonly title: string;
  readonly description: string;
  readonly keys: readonly Key[];
  readonly notServed: readonly string[];
}

function factsOf<T>(facts: T | undefined, what: string): T {
  if (!facts) throw new Error(`${what} has no description`);
  return facts;
}

function valueText(schema: z.ZodType): string {
  if (schema instanceof z.ZodObject) return `[${factsOf(sectionFacts.get(schema), 'a section').title}]`;
  if (schema instanceof z.ZodArray) {
    const element = schema.element as z.ZodType;
    const one = valueText(element);
    return element instanceof z.ZodObject ? `list of ${one}` : `${one}, one or a list`;
  }
  if (schema instanceof z.ZodUnion) return (schema.options as readonly z.ZodType[]).map(valueText).join(' or ');
  const { expected, later } = factsOf(valueFacts.get(schema), 'a value');
  return later?.length ? `${expected} (not yet: ${later.join(', ')})` : expected;
}

const written = (value: unknown): string => (Array.isArray(value) ? '[]' : String(value));

function keyOf(name: string, schema: z.ZodType): Key {
  const facts = factsOf(fieldFacts.get(schema), name);
  const fallback = schema instanceof z.ZodDefault ? written(schema.def.defaultValue) : facts.otherwise;
  return {
    name,
    value: `${valueText(bare(schema))}${facts.unit ? `, ${facts.unit}` : ''}`,
    required: !(schema instanceof z.ZodDefault || schema instanceof z.ZodOptional),
    ...(fallback !== undefined && { default: fallback }),
    description: facts.description,
    aliases: facts.aliases ?? [],
  };
}

function* children(schema: z.ZodType): Generator<z.ZodObject> {
  const inner = bare(schema);
  if (inner instanceof z.ZodObject) yield inner;
  else if (inner instanceof z.ZodArray) yield* children(inner.element as z.ZodType);
  else if (inner instanceof z.ZodUnion) for (const option of inner.options) yield* children(option as z.ZodType);
}

/** The section itself, then what stands in it; each section once. */
export function sectionsOf(root: z.ZodObject, known: Set<z.ZodObject> = new Set()): readonly Section[] {
  if (known.has(root)) return [];
  known.add(root);
  const facts = factsOf(sectionFacts.get(root), 'a section');
  const fields = Object.entries(root.shape as Readonly<Record<string, z.ZodType>>);
  return [
    {
      title: facts.title,
      description: facts.description,
      keys: fields.map(([name, schema]) => keyOf(name, schema)),
      notServed: facts.notServed ?? [],
    },
    ...fields.flatMap(([, schema]) => [...children(schema)].flatMap((child) => sectionsOf(child, known))),
  ];
}
