/** Tables with a column of every type that a system has, and the rows that its driver lists. */
import type { TableSpec } from '../../src/model/change.ts';
import type { Subject } from './conformance.ts';
import type { Server, TypeCase } from './driver.ts';
import { type Installation, install } from './installation.ts';

export const columnsOf = (types: readonly TypeCase[]): string[] => types.map((_, i) => `c${i}`);
const specOf = (name: string, types: readonly TypeCase[]): TableSpec => ({
  name,
  key: ['id'],
  columns: ['id', ...columnsOf(types)],
});

const ddlOf = (name: string, types: readonly TypeCase[]): string =>
  `create table ${name} (id int primary key, ${types.map(({ type }, i) => `c${i} ${type}`)})`;

/** A row of NULLs, then one literal of each column a row until all were used. */
function literalRows(types: readonly TypeCase[]): string[][] {
  const height = Math.max(...types.map(({ cases }) => cases.length));
  const rows = Array.from({ length: height }, (_, round) =>
    types.map(({ cases }) => cases[round]?.[0] ?? 'null'),
  );
  return [types.map(() => 'null'), ...rows];
}

/** Far enough apart for the rows of one session. */
export const STEP = 100;

/** Servers on which the types have been made. */
const ready = new WeakSet<Server>();

/** Two tables with a column of every type, `name` and `name_copy`. */
export async function everyType(subject: Subject, name: string): Promise<Installation> {
  const { types } = subject.driver;
  const specs = [specOf(name, types), specOf(`${name}_copy`, types)];
  const made = ready.has(subject.server()) ? [] : types.flatMap(({ made: sql }) => sql ?? []);
  ready.add(subject.server());
  return install(subject, specs, [...made, ...specs.map((spec) => ddlOf(spec.name, types))]);
}

/** The same rows by three users whose sessions differ in all that may change a value. */
export async function writeAll(subject: Subject, table: string): Promise<void> {
  const { sessions, types } = subject.driver;
  for (const [session, settings] of sessions.entries()) {
    await using user = await subject.server().user();
    await user.run(settings);
    for (const [row, literals] of literalRows(types).entries()) {
      const id = session * STEP + row;
      await user.run(`insert into ${table} values (${[id, ...literals].join(', ')})`);
    }
  }
}
