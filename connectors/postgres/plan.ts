import type { TableSpec } from '../../src/model/change.ts';
import type { PostgresTable } from './describe.ts';
import type { Plan, Relation } from './pgoutput.ts';
import type { Codec } from './types.ts';

/**
 * Fits a relation of the log to a table of the mapping, or says why it does not. `declared` is the
 * table as it was when the source was opened: what the mapping was compiled against.
 */
export function compilePlan(
  table: TableSpec,
  declared: PostgresTable | undefined,
  relation: Relation,
  codecOf: (typeOid: number) => Codec,
): Plan | string {
  const cells = relation.columns.map(({ name }) => table.columns.indexOf(name));
  const codecs = relation.columns.map(({ typeOid }, index) =>
    cells[index]! < 0 ? null : codecOf(typeOid),
  );
  for (const [index, name] of table.columns.entries()) {
    const expected = declared?.columns.find((column) => column.name === name);
    const found = cells.indexOf(index);
    if (found < 0) {
      // The log leaves computed columns out; their cells stay undefined.
      if (expected?.generated) continue;
      return `column ${name} is missing`;
    }
    const kind = codecs[found]!.kind;
    if (expected !== undefined && expected.kind !== kind) {
      return `column ${name} is ${kind}, was ${expected.kind}`;
    }
    if (table.key.includes(name) && !relation.columns[found]!.identity) {
      return `key column ${name} is not part of the replica identity`;
    }
  }
  const blank = table.columns.map(() => undefined);
  const identity = relation.columns.map((column) => column.identity);
  return { table, cells, codecs, identity, blank };
}
