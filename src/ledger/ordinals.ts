import type { Store } from './store.ts';

/** See `Ledger.ordinals`; runs inside the caller's transaction. */
export function openOrdinals({ db, names }: Store) {
  const select = db.prepare('SELECT name FROM fields WHERE entity = ? ORDER BY ordinal');
  const insert = db.prepare('INSERT INTO fields (entity, ordinal, name) VALUES (?, ?, ?)');
  return (entity: string, wanted: readonly string[]): string[] => {
    const code = names.code(entity);
    const known = select.all(code).map((row) => String(row.name));
    for (const name of wanted) {
      if (known.includes(name)) continue;
      insert.run(code, known.push(name) - 1, name);
    }
    return known;
  };
}
