import type { Column, TableSchema } from '../model/change.ts';
import { celType } from './cel-value.ts';
import type { ColumnType } from './convert.ts';
import type { VariableType } from './expression.ts';
import type { Path, Report } from './report.ts';

/** The columns of one table that a mapping uses, in the order of their first use. */
export interface Columns {
  readonly names: readonly string[];
  /** For CEL: every column of the schema, or none when it is not known. */
  readonly variables: ReadonlyMap<string, VariableType>;
  /** The column's index; one that does not exist, or may not be written, is reported. */
  use(name: string, path: Path, written: boolean): number;
  /** Null without a schema. */
  typeOf(index: number): ColumnType | null;
}

export function columnsOf(schema: TableSchema | null, report: Report): Columns {
  const names: string[] = [];
  const known = new Map<string, Column>(schema?.columns.map((column) => [column.name, column]));
  const variables = new Map([...known.values()].map(({ name, kind }) => [name, celType(kind)]));
  const use = (name: string, path: Path, written: boolean): number => {
    const column = known.get(name);
    if (schema !== null && column === undefined) {
      report(path, `${schema.name} has no column "${name}"`, {
        expected: `one of ${[...known.keys()].join(', ')}`,
        near: [name, known.keys()],
      });
    }
    if (written && column?.readOnly === true) {
      report(path, `the system itself fills ${name} (${column.nativeType})`, {
        expected: '"direction: in"',
      });
    }
    const index = names.indexOf(name);
    return index >= 0 ? index : names.push(name) - 1;
  };
  const typeOf = (index: number): ColumnType | null => {
    const column = known.get(names[index]!);
    return column === undefined ? null : { kind: column.kind, scale: scaleOf(column) };
  };
  return { names, variables, use, typeOf };
}

/** `numeric(12,2)` and `decimal(10)` tell how many fraction digits the database shows. */
export function scaleOf({ kind, nativeType }: Pick<Column, 'kind' | 'nativeType'>): number | null {
  if (kind !== 'decimal') return null;
  const [, digits, scale] = /\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)/.exec(nativeType) ?? [];
  return digits === undefined ? null : Number(scale ?? 0);
}
