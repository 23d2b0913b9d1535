import type { Commit, SimulatedSystem } from './system.ts';
import type { Outcome } from './world.ts';

/** A run as text, for the person who looks into a failing seed. */
export async function dump(outcome: Outcome, last = 15): Promise<string> {
  const { scenario, systems, ledger, entities } = outcome;
  const lines = [JSON.stringify(scenario.setup)];
  for (const system of systems.values()) lines.push(dumpLog(system, last));
  for (const entity of entities) {
    const seen = new Set<number>();
    for (const system of entity.lenses.keys()) {
      for (const record of await ledger.desk.linked(system, entity.name, null, 1000)) {
        if (seen.has(record.id)) continue;
        seen.add(record.id);
        lines.push(JSON.stringify({ ...record, stamps: undefined }));
      }
    }
  }
  for (const item of await ledger.desk.parked({ limit: 100 })) lines.push(JSON.stringify(item));
  for (const item of await ledger.desk.conflicts({ limit: 100 })) lines.push(JSON.stringify(item));
  return lines.join('\n');
}

export const dumpLog = ({ name, log }: SimulatedSystem, last: number): string =>
  [`== ${name}`, ...log.slice(-last).map(commitText)].join('\n');

function commitText({ id, at, mark, changes }: Commit): string {
  const rows = changes.map(({ table, before, after }) => {
    const cells = Object.entries(after?.cells ?? before?.cells ?? {})
      .filter(([column, cell]) => !(before && after) || before.cells[column] !== cell)
      .map(([column, cell]) => `${column}=${cell}`);
    const key = Object.values(before?.cells ?? {}).slice(0, 1);
    const op = before === null ? 'insert' : after === null ? 'delete' : 'update';
    return `\n    ${op} ${table} ${key} ${cells.join(' ')}`;
  });
  return `${id} @${at} ${mark === null ? 'user' : `${mark.lane} ${mark.batch}`}${rows.join('')}`;
}
