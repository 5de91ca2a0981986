/** C structs as data: fields in their order give offsets, size and both codecs. Pure; little-endian, network order where named. */
import { type Address, addressBytes, addressFromBytes } from '../lib/address.ts';

export interface Field<T> {
  readonly size: number;
  readonly align: number;
  put(to: DataView, at: number, value: T): void;
  get(from: DataView, at: number): T;
}

const number = (size: 1 | 2 | 4, littleEndian: boolean): Field<number> => ({
  size,
  align: size,
  put: (to, at, value) => {
    if (size === 1) to.setUint8(at, value);
    else if (size === 2) to.setUint16(at, value, littleEndian);
    else to.setUint32(at, value, littleEndian);
  },
  get: (from, at) =>
    size === 1 ? from.getUint8(at) : size === 2 ? from.getUint16(at, littleEndian) : from.getUint32(at, littleEndian),
});

export const u8 = number(1, true);
export const u16 = number(2, true);
export const u32 = number(4, true);
/** In network order. */
export const be16 = number(2, false);
export const u64: Field<bigint> = {
  size: 8,
  align: 8,
  put: (to, at, value) => to.setBigUint64(at, value, true),
  get: (from, at) => from.getBigUint64(at, true),
};
/** Four bytes; 0.0.0.0 where there is none. */
export const ipv4: Field<Address> = {
  size: 4,
  align: 4,
  put: (to, at, value) => new Uint8Array(to.buffer, to.byteOffset + at, 4).set(addressBytes(value)),
  get: (from, at) => addressFromBytes(new Uint8Array(from.buffer, from.byteOffset + at, 4)),
};

/** Missing values at the end are zeros. */
export const array = <T>(of: Field<T>, length: number): Field<readonly T[]> => ({
  size: of.size * length,
  align: of.align,
  put: (to, at, values) => {
    if (values.length > length) throw new RangeError(`${values.length} values for ${length} places`);
    for (const [i, value] of values.entries()) of.put(to, at + i * of.size, value);
  },
  get: (from, at) => Array.from({ length }, (_, i) => of.get(from, at + i * of.size)),
});

type Fields = Readonly<Record<string, Field<unknown>>>;
/** What a struct of these fields holds. */
export type StructOf<F extends Fields> = { readonly [K in keyof F as K extends 'zero' ? never : K]: ValueOf<F[K]> };
export type ValueOf<F> = F extends Field<infer T> ? T : never;

export interface Layout<T> extends Field<T> {
  /** The struct in the header that it mirrors. */
  readonly struct: string;
  readonly offset: Readonly<Record<string, number>>;
  encode(value: T): Uint8Array;
  /** Throws RangeError when the bytes are fewer than the struct's. */
  decode(bytes: Uint8Array): T;
}

const view = (b: Uint8Array): DataView => new DataView(b.buffer, b.byteOffset, b.byteLength);

/**
 * A struct without hidden padding; throws when the fields would have some. Fields named `zero` are filling: they are neither
 * asked for nor given.
 */
export function layout<F extends Fields>(struct: string, fields: F): Layout<StructOf<F>> {
  type T = StructOf<F>;
  const offset: Record<string, number> = {};
  let size = 0;
  let align = 1;
  for (const [name, field] of Object.entries(fields)) {
    if (size % field.align) throw new TypeError(`${struct}.${name} is not aligned`);
    offset[name] = size;
    size += field.size;
    align = Math.max(align, field.align);
  }
  if (size % align) throw new TypeError(`${struct} ends with padding`);
  const named = Object.entries(fields).filter(([name]) => name !== 'zero') as [keyof T & string, Field<unknown>][];
  const put = (to: DataView, at: number, value: T) => {
    for (const [name, field] of named) field.put(to, at + offset[name]!, value[name]);
  };
  const get = (from: DataView, at: number): T =>
    Object.fromEntries(named.map(([name, field]) => [name, field.get(from, at + offset[name]!)])) as T;
  return {
    struct,
    size,
    align,
    offset,
    put,
    get,
    encode: (value) => {
      const bytes = new Uint8Array(size);
      put(view(bytes), 0, value);
      return bytes;
    },
    decode: (bytes) => get(view(bytes), 0),
  };
}
