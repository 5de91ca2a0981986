/**
 * What a schema says beside its type: the words of the reference and of error messages. The zod schemas of this folder are
 * the one source of the reader (`config/read.ts`), the types, the defaults and `docs/configuration.md`.
 */
import { z } from 'zod';

export interface FieldFacts {
  readonly description: string;
  readonly unit?: string;
  /** Names that the cmdlets also accept for it; not accepted here, but the error names the right one. */
  readonly aliases?: readonly string[];
  /** Said in place of a default where the default is computed. */
  readonly otherwise?: string;
  /** Smallest number of list items. */
  readonly atLeast?: number;
}

export interface SectionFacts {
  readonly title: string;
  readonly description: string;
  /** Keys that belong here but are not served by this version. */
  readonly notServed?: readonly string[];
  /** A key that is not known may be a misplaced secret and is not shown. */
  readonly hidden?: boolean;
}

export interface ValueFacts {
  /** Completes `… is not`: `an IPv4 address`. */
  readonly expected: string;
  /** The cmdlets' values that this version does not serve. */
  readonly later?: readonly string[];
}

export const fieldFacts = z.registry<FieldFacts>();
export const sectionFacts = z.registry<SectionFacts>();
export const valueFacts = z.registry<ValueFacts>();

export const field = <S extends z.ZodType>(facts: FieldFacts, schema: S): S => {
  fieldFacts.add(schema, facts);
  return schema;
};

export const section = <Shape extends z.ZodRawShape>(
  facts: SectionFacts,
  shape: Shape,
): z.ZodObject<Shape, z.core.$strict> => {
  const schema = z.strictObject(shape);
  sectionFacts.add(schema, facts);
  return schema;
};

/** What a parser of scalar text makes of it; `notServed` marks a value that is right but belongs to a later version. */
export type Parsed<T> = { readonly value: T } | { readonly cure: string; readonly notServed?: boolean };

export const quoted = (text: string): string => {
  const short = text.length > 60 ? `${text.slice(0, 57)}...` : text;
  return JSON.stringify(short);
};

/** A scalar as written. */
export const scalar = <T>(facts: ValueFacts, parse: (text: string) => Parsed<T>) => {
  const schema = z.string().transform((text, ctx): T => {
    const parsed = parse(text);
    if ('value' in parsed) return parsed.value;
    const problem = parsed.notServed
      ? `${quoted(text)} is not served by this version`
      : `${quoted(text)} is not ${facts.expected}`;
    ctx.addIssue({ code: 'custom', message: problem, params: { cure: parsed.cure, notServed: parsed.notServed } });
    return z.NEVER;
  });
  valueFacts.add(schema, facts);
  return schema;
};
