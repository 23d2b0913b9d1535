/**
 * What both systems hold, read through the mappings and matched by business keys. The ledger and
 * the links have no part in it: it would find a record that Carrick lost, doubled or mixed up.
 */
import type { Value } from '../../src/model/value.ts';
import type { SystemName } from './desk.ts';

/** The canonical values of one row, by field name; a reference is a business key. */
export type Entry = Readonly<Record<string, Value>>;

/** All rows of one system that are ours: by entity, then by business key. */
export interface Book {
  readonly system: SystemName;
  readonly entities: ReadonlyMap<string, ReadonlyMap<string, Entry>>;
  /** Rows that have the business key of another row, and rows that a mapping cannot read. */
  readonly faults: readonly string[];
}

/** `entity key` to name a record in messages and exceptions. */
export const nameOf = (entity: string, key: string): string => `${entity} ${key}`;

/**
 * What keeps two books from being equal, in words without field values; nothing when they agree.
 * Records named in `except` are left out.
 */
export function differences(crm: Book, erp: Book, except: ReadonlySet<string>): string[] {
  const found = [...crm.faults, ...erp.faults];
  for (const entity of new Set([...crm.entities.keys(), ...erp.entities.keys()])) {
    const left = crm.entities.get(entity) ?? new Map<string, Entry>();
    const right = erp.entities.get(entity) ?? new Map<string, Entry>();
    for (const key of new Set([...left.keys(), ...right.keys()])) {
      const problem = compareEntries(left.get(key), right.get(key));
      if (problem !== null) found.push(`${nameOf(entity, key)} ${problem}`);
    }
  }
  return found.filter((fault) => ![...except].some((name) => fault.startsWith(`${name} `)));
}

function compareEntries(crm: Entry | undefined, erp: Entry | undefined): string | null {
  if (crm === undefined) return 'is missing in the CRM';
  if (erp === undefined) return 'is missing in the ERP';
  const fields = new Set([...Object.keys(crm), ...Object.keys(erp)]);
  const unequal = [...fields].filter((field) => crm[field] !== erp[field]);
  return unequal.length === 0 ? null : `differs in ${unequal.join(', ')}`;
}

export function rowCount(book: Book, entity: string): number {
  return book.entities.get(entity)?.size ?? 0;
}

export function entry(book: Book, entity: string, key: string): Entry | undefined {
  return book.entities.get(entity)?.get(key);
}
