/** What must be done to packed entries: few that differ are ops of their own, which people read; many stay packed. Pure. */
import { EntryTable, tableDifference } from './entry-table.ts';
import { DEFAULT_SLOT } from './numbers.ts';
import type { AnyResource, Resource, Specs, Verb } from './resource.ts';

/** More than these are not told one by one. */
export const FEW = 1000;

export interface PackedOp {
  readonly verb: Verb;
  readonly resource: AnyResource;
  readonly from?: AnyResource;
}

const hex = (b: Buffer): string => b.toString('hex');

export const packedResource = (table: EntryTable, labelOf?: Specs['entries']['labelOf']): Resource<'entries'> => ({
  kind: 'entries',
  key: table.map,
  slot: DEFAULT_SLOT,
  spec: { table, ...(labelOf && { labelOf }) },
});

/** One row as a resource of its own. */
export function rowResource({ spec }: Resource<'entries'>, row: number): Resource<'entry'> {
  const { table, labelOf } = spec;
  const key = hex(table.keys(row, row + 1));
  return {
    kind: 'entry',
    key: `${table.map} ${key}`,
    slot: table.slot(row),
    spec: { map: table.map, key, value: hex(table.values(row, row + 1)) },
    ...(labelOf && { label: labelOf(row, table) }),
  };
}

const withTable = (r: Resource<'entries'>, table: EntryTable): Resource<'entries'> => ({
  ...r,
  spec: { ...r.spec, table },
});

function mapOps(want: Resource<'entries'>, have: Resource<'entries'>): readonly PackedOp[] {
  const [wanted, present] = [want.spec.table, have.spec.table];
  if (present.count === 0 && wanted.count > FEW) return [{ verb: 'create', resource: want }];
  const { created, changed, gone } = tableDifference(wanted, present);
  if (created.length + changed.length + gone.length > FEW) {
    const sorts = [
      { verb: 'delete', of: have, rows: gone },
      { verb: 'create', of: want, rows: created },
      { verb: 'update', of: want, rows: changed },
    ] as const;
    return sorts.flatMap(({ verb, of, rows }) =>
      rows.length ? [{ verb, resource: withTable(of, of.spec.table.pick(rows)) }] : [],
    );
  }
  return [
    ...gone.map((row): PackedOp => ({ verb: 'delete', resource: rowResource(have, row) })),
    ...created.map((row): PackedOp => ({ verb: 'create', resource: rowResource(want, row) })),
    ...changed.map(
      (row): PackedOp => ({
        verb: 'update',
        resource: rowResource(want, row),
        from: rowResource(have, present.rowOf(wanted, row)),
      }),
    ),
  ];
}

const byMap = (resources: readonly AnyResource[]): ReadonlyMap<string, Resource<'entries'>> => {
  const found = new Map<string, Resource<'entries'>>();
  for (const r of resources) if (r.kind === 'entries') found.set(r.key, r);
  return found;
};

/** A side that has nothing of a map has it empty. */
const empty = (r: Resource<'entries'>): Resource<'entries'> =>
  withTable(r, new EntryTable(r.key, r.spec.table.keySize, r.spec.table.valueSize));

export function packedOps(desired: readonly AnyResource[], actual: readonly AnyResource[]): readonly PackedOp[] {
  const [wanted, present] = [byMap(desired), byMap(actual)];
  return [...new Set([...wanted.keys(), ...present.keys()])].flatMap((map) => {
    const [want, have] = [wanted.get(map), present.get(map)];
    return mapOps(want ?? empty(have!), have ?? empty(want!));
  });
}
