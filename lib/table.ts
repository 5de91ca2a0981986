/** Rows as aligned columns for people. Column heads are the property names; a list prints as the cmdlets do: `{a, b}`. */
export type Cell = string | number | boolean | null | undefined | readonly (string | number)[];
export type Row = Readonly<Record<string, Cell>>;

const text = (c: Cell): string =>
  Array.isArray(c) ? `{${c.join(', ')}}` : c === null || c === undefined ? '' : String(c);

export function formatTable(rows: readonly Row[]): string {
  const columns = [...new Set(rows.flatMap((r) => Object.keys(r)))];
  if (columns.length === 0) return '';
  const lines = [columns, columns.map((c) => '-'.repeat(c.length)), ...rows.map((r) => columns.map((c) => text(r[c])))];
  const widths = columns.map((_, i) => Math.max(...lines.map((l) => l[i]!.length)));
  return `${lines
    .map((l) =>
      l
        .map((c, i) => c.padEnd(widths[i]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')}\n`;
}
