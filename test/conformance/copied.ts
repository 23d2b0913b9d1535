/** What the tests of copiers write, and a real and a simulated table to write it into. */
import { expect } from 'vitest';
import type {
  Copier,
  CopyTable,
  CopyWrite,
  FeedPlace,
  Trouble,
} from '../../src/contract/copier.ts';
import type { TableSpec } from '../../src/model/change.ts';
import type { Position } from '../../src/model/position.ts';
import type { Value } from '../../src/model/value.ts';
import { unreachable } from '../simulation/connector.ts';
import { FEEDS, openCopier } from '../simulation/feed-copier.ts';
import { openHistory } from '../simulation/history.ts';
import { seeded } from '../simulation/random.ts';
import { openLine, openScheduler, settled } from '../simulation/scheduler.ts';
import { openSystem, Refusal, type TableDef } from '../simulation/system.ts';
import type { Subject } from './conformance.ts';
import { content, type Installation, install, plain, plainDdl } from './installation.ts';

export type Rows = readonly (readonly Value[])[];

export const put = (table: string, ...rows: Rows): CopyWrite => ({
  op: 'put',
  table,
  key: ['id'],
  columns: ['id', 'name', 'amount'],
  keys: [],
  rows,
  fresh: false,
});

export const fresh = (table: string, ...rows: Rows): CopyWrite => ({
  ...put(table, ...rows),
  fresh: true,
});

/** Rows of `[key, name wanted]`. */
export const rename = (
  table: string,
  ...rows: readonly (readonly [string, Value])[]
): CopyWrite => ({
  ...put(table, ...rows.map(([, name]) => [name])),
  op: 'patch',
  columns: ['name'],
  keys: rows.map(([id]) => [id]),
});

export const remove = (table: string, ...ids: readonly string[]): CopyWrite => ({
  ...put(table),
  op: 'remove',
  columns: [],
  keys: ids.map((id) => [id]),
});

/** Of rows in several batches, as the place of a feed tells them. */
export const at = (place: number | string): FeedPlace => ({
  position: `place/${place}` as Position,
  progress: `{"items":"it's \\\\ ${place}"}`,
});

export const copyTable = ({ name, key, columns }: TableSpec): CopyTable => ({
  ...{ name, key, columns },
  removes: true,
});

export async function copierOf(it: Installation, feed = 'feed'): Promise<Copier> {
  const { system } = it;
  await system.setup({ ...it.needs, copies: it.needs.tables.map(copyTable) });
  return system.copier!(feed);
}

/** One committed transaction. */
export async function committed(
  copier: Copier,
  place: FeedPlace,
  ...writes: readonly CopyWrite[]
): Promise<(readonly Trouble[])[]> {
  await using transaction = await copier.begin();
  const troubles = [];
  for (const write of writes) troubles.push(await transaction.write(write));
  await transaction.commit(place);
  return troubles;
}

/** A copier that has been asked for its place, and transactions of one write each. */
export async function begun(copier: Copier) {
  expect(await copier.place()).toBeNull();
  let place = 0;
  return {
    copier,
    write: async (write: CopyWrite) => (await committed(copier, at(++place), write))[0]!,
  };
}

/** A plain table, of which names may be unique, that copiers write into. */
export interface Copied extends AsyncDisposable {
  readonly table: string;
  /** Closed with the table. */
  copier(feed?: string): Promise<Copier>;
  /** By somebody without Carrick. */
  insert(...rows: Rows): Promise<void>;
  rows(): Promise<Value[][]>;
  /** Ends every connection that Carrick has open here. */
  cut(): Promise<void>;
}

/** Declares a test, as `Subject` does. */
export type Declare = (name: string, run: () => Promise<void>) => void;
export type OpenCopied = (table: string, unique?: readonly string[]) => Promise<Copied>;

export const realCopied =
  (subject: Subject): OpenCopied =>
  async (table, unique = []) => {
    const indexes = unique.map(
      (column) => `create unique index u_${table} on ${table} (${column})`,
    );
    const ddl = [`drop table if exists ${table}`, plainDdl(table), ...indexes];
    const open = new AsyncDisposableStack();
    const it = open.use(await install(subject, [plain(table)], ddl));
    const literal = (value: Value): string => (value === null ? 'null' : `'${value}'`);
    return {
      table,
      copier: async (feed) => open.use(await copierOf(it, feed)),
      async insert(...rows) {
        const texts = rows.map((row) => `(${row.map(literal).join(', ')})`);
        await it.user.run(`insert into ${table} values ${texts.join(', ')}`);
      },
      rows: () => content(it, table),
      cut: () => subject.server().cut(),
      [Symbol.asyncDispose]: () => open.disposeAsync(),
    };
  };

const definition = (
  name: string,
  columns: readonly string[],
  unique: readonly string[] = [],
): TableDef => ({
  references: null,
  name,
  key: columns.slice(0, 1),
  columns: Object.fromEntries(columns.map((column) => [column, null])),
  generated: false,
  unique: unique.map((column) => [column]),
  trigger(_before, row) {
    if ((row.name?.length ?? 0) > 200) throw new Refusal('22001', 'too long');
  },
  follow: () => null,
  hidden: () => false,
  who: () => '',
});

/** The simulation's, under a scheduler that picks on its own as long as the table is open. */
export const simulatedCopied: OpenCopied = async (table, unique) => {
  const random = seeded(1, table);
  const scheduler = openScheduler(random, false);
  const system = openSystem({
    ...{ name: 'simulated', scheduler, history: openHistory(), clock: () => 0, late: () => false },
    tables: [
      definition(table, ['id', 'name', 'amount'], unique),
      definition(FEEDS, ['feed', 'position', 'progress']),
    ],
  });
  const common = { system, scheduler, random, instance: 'copying', minimal: false };
  const lines = new Set<ReturnType<typeof openLine>>();
  let open = true;
  void (async () => {
    for (; open; await settled()) scheduler.step();
  })();
  return {
    table,
    async copier(feed = 'feed') {
      const line = openLine(feed);
      lines.add(line);
      const connection = { ...common, line, down: () => false, closed: () => undefined };
      return openCopier(connection, feed, () => undefined);
    },
    async insert(...rows) {
      const session = system.session('user');
      for (const [id, name, amount] of rows) {
        session.insert(table, { id: id!, name: name!, amount: amount! });
      }
      session.commit();
    },
    async rows() {
      const rows = system
        .visible(table)
        .map(({ cells }): Value[] => [
          ...[cells.id, cells.name, cells.amount].map((cell) => cell ?? null),
        ]);
      return rows.sort(([a], [b]) => Number(a) - Number(b));
    },
    async cut() {
      for (const line of lines) scheduler.cut(line, unreachable('target'));
      lines.clear();
    },
    async [Symbol.asyncDispose]() {
      open = false;
    },
  };
};
