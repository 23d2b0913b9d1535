import type {
  Applier,
  ApplyTransaction,
  Outcome,
  RowWrite,
  TableWrite,
} from '../../src/contract/applier.ts';
import type { Chunk, ChunkRequest, Source } from '../../src/contract/source.ts';
import { type CarrickError, halt, retry } from '../../src/errors.ts';
import type { Change, SourceBatch, TableSpec, Transaction } from '../../src/model/change.ts';
import type { Position } from '../../src/model/position.ts';
import { type Cell, rowKey, type Value } from '../../src/model/value.ts';
import type { Random } from './random.ts';
import { Blocked, type Line, type Scheduler } from './scheduler.ts';
import {
  type Cells,
  type Commit,
  Refusal,
  type RowChange,
  type Session,
  type SimulatedSystem,
  type StoredRow,
} from './system.ts';

export interface Connection {
  readonly system: SimulatedSystem;
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly line: Line;
  readonly instance: string;
  /** Updates leave out what did not change: of all columns, or of these; never the key. */
  readonly minimal: boolean | readonly string[];
  /** Where its reader says that it needs the log no more; absent: the system's only one. */
  readonly slot?: { forgotten: Position };
  /** Its applier has `update`. */
  readonly sole?: boolean;
  /** Not reachable now. */
  readonly down: () => boolean;
  readonly closed: (line: Line) => void;
}

export const unreachable = (side: 'source' | 'target'): CarrickError =>
  retry(`${side}.unreachable`, 'the simulated system cannot be reached', 'wait');

const formatPosition = (commit: number, change: number) => `${commit}:${change}` as Position;

export function parsePosition(position: Position): { commit: number; change: number } {
  const [commit, change] = position.split(':').map(Number);
  return { commit: commit ?? 0, change: change ?? 0 };
}

export function isBefore(a: Position, b: Position): boolean {
  const [x, y] = [parsePosition(a), parsePosition(b)];
  return x.commit < y.commit || (x.commit === y.commit && x.change < y.change);
}

export const endOfLog = (system: SimulatedSystem): Position => formatPosition(system.log.length, 0);

export function openSource(connection: Connection, tables: readonly TableSpec[]): Source {
  const { system, scheduler, random, line } = connection;
  const slot = connection.slot ?? system;
  const call = <T>(label: string, effect: () => T): Promise<T> =>
    scheduler.call(line, `${system.name} ${label}`, () => {
      if (connection.down()) throw unreachable('source');
      return effect();
    });
  return {
    start: () =>
      call('start', () => {
        system.flush();
        return endOfLog(system);
      }),
    async *tail(from) {
      let at = from;
      for (;;) {
        let beat = false;
        const cancel = scheduler.timer(10_000, () => {
          beat = true;
          scheduler.changed();
        });
        const batch = await call('tail', () => {
          if (isBefore(at, slot.forgotten)) {
            throw halt('source.lost', 'the log was forgotten up to a later position', 'resync');
          }
          const next = readLog(connection, tables, at, 1 + random.int(6));
          if (next.position === at && !beat) throw new Blocked();
          return next;
        });
        cancel();
        at = batch.position;
        yield batch;
      }
    },
    settle(position) {
      if (isBefore(slot.forgotten, position)) slot.forgotten = position;
    },
    status: () => ({
      lastByteAt: null,
      lagBytes: null,
      retainedBytes: null,
      retentionLimitBytes: null,
      retentionLimitSeconds: null,
    }),
    read: (request) => call('read', () => readChunk(connection, request)),
    estimate: async () => null,
    async [Symbol.asyncDispose]() {
      connection.closed(line);
    },
  };
}

/** At most `limit` changes after `from`; a batch may end inside a transaction. */
function readLog(
  { system, minimal }: Connection,
  tables: readonly TableSpec[],
  from: Position,
  limit: number,
): SourceBatch {
  const transactions: Transaction[] = [];
  let { commit, change } = parsePosition(from);
  let left = limit;
  for (; left > 0 && commit < system.onDisk(); left--) {
    const logged = system.log[commit] as Commit;
    const rest = logged.changes.slice(change);
    const part = rest.slice(0, left);
    const complete = part.length === rest.length;
    const changes = [
      ...wholeTable(logged, change, tables),
      ...part.flatMap((row) => {
        const withheld = row.table === logged.truncated || system.misfit(row.table, commit) !== '';
        return withheld ? [] : imageOf(system, row, tables, minimal);
      }),
    ];
    if (changes.length > 0 || logged.mark !== null || (change > 0 && complete)) {
      const { id, at: committedAt, mark } = logged;
      transactions.push({ id, committedAt, mark, changes, complete, visibility: id });
    }
    left -= part.length;
    if (complete) [commit, change] = [commit + 1, 0];
    else change += part.length;
  }
  return { transactions, position: formatPosition(commit, change) };
}

/** What a commit says of a table as a whole; told with its first change. */
function wholeTable(
  { truncated, drift }: Commit,
  change: number,
  tables: readonly TableSpec[],
): Change[] {
  const name = truncated ?? drift?.table;
  const table = tables.find((spec) => spec.name === name);
  if (table === undefined || change > 0) return [];
  if (drift === null) return [{ table, op: 'truncate', row: [], old: null }];
  return [{ table, op: 'drift', row: [], old: null, detail: drift.detail }];
}

function imageOf(
  system: SimulatedSystem,
  { table: name, before, after }: RowChange,
  tables: readonly TableSpec[],
  minimal: Connection['minimal'],
): Change[] {
  const table = tables.find((spec) => spec.name === name);
  if (table === undefined) return [];
  const image = (cells: Cells, wanted: (column: string) => boolean): Cell[] =>
    table.columns.map((column) => (wanted(column) ? (cells[column] ?? null) : undefined));
  const isKey = (column: string): boolean => table.key.includes(column);
  if (after === null) {
    const old = before === null ? [] : image(before.cells, (c) => isKey(c) || minimal === false);
    return [{ table, op: 'delete', row: [], old }];
  }
  if (before === null) {
    return [{ table, op: 'insert', row: image(after.cells, () => true), old: null }];
  }
  const isLeft = (c: string): boolean =>
    minimal === true || (minimal !== false && minimal.includes(c));
  const shown = (c: string): boolean =>
    !isLeft(c) || isKey(c) || before.cells[c] !== after.cells[c];
  const moved = system.keyOf(name, before.cells) !== system.keyOf(name, after.cells);
  const row = image(after.cells, shown);
  return [{ table, op: 'update', row, old: moved ? image(before.cells, isKey) : null }];
}

function readChunk({ system, random }: Connection, request: ChunkRequest): Chunk {
  const { table, after, keys } = request;
  refuseMisfit(system, table.name, 'source');
  const key = (row: { cells: Cells }): string => system.keyOf(table.name, row.cells);
  const cells = (row: { cells: Cells }): Cell[] =>
    table.columns.map((column) => row.cells[column] ?? null);
  const all = system.visible(table.name);
  const unseen = system.log.filter((commit) => !commit.visible).map((commit) => commit.id);
  if (keys !== undefined) {
    const wanted = new Set(keys.map(rowKey));
    return { rows: all.filter((row) => wanted.has(key(row))).map(cells), next: null, unseen };
  }
  const rest = after === null ? all : all.filter((row) => key(row) > rowKey(after));
  const rows = rest.slice(0, 1 + random.int(4));
  const last = rows.at(-1);
  const ended = last === undefined || rows.length === rest.length;
  const next = ended ? null : table.key.map((column) => last.cells[column] ?? null);
  return { rows: rows.map(cells), next, unseen };
}

/** Its statements name a column that the table does not have. */
function refuseMisfit(system: SimulatedSystem, table: string, side: 'source' | 'target'): void {
  const misfit = system.misfit(table, system.log.length);
  if (misfit !== '') throw halt(`${side}.refused`, misfit, 'mend the table');
}

/**
 * Told of each write that is done and what was there, so that the oracle sees what it runs over;
 * what it returns is called when the transaction is committed.
 */
export type Watch = (
  system: SimulatedSystem,
  write: TableWrite,
  key: string,
  now: Cells,
) => () => void;

export function openApplier(connection: Connection, watch: Watch): Applier {
  const { system, scheduler, line, instance } = connection;
  const call = <T>(label: string, effect: () => T): Promise<T> =>
    scheduler.call(line, `${system.name} ${label}`, () => {
      if (connection.down()) throw unreachable('target');
      return effect();
    });
  return {
    committed: () =>
      call('committed', () => {
        const batch = system.marked(instance, 'deliver');
        system.flush();
        return batch;
      }),
    async begin(batch) {
      const session = system.session('carrick');
      line.onHangup.push(() => session.rollback());
      await call('begin', () => {
        if (!session.open) throw unreachable('target');
        moveMark(connection, session, batch);
      });
      return openTransaction(system, session, call, watch);
    },
    ...(connection.sole === true && {
      update: (batch, write) => call('update', () => updateAlone(connection, batch, write, watch)),
    }),
    fence: (batch, lane = 'watermark') =>
      call('fence', () => {
        const session = system.session('carrick');
        session.mark({ instance, lane, batch });
        session.commit();
      }),
    ping: () => call('ping', () => system.flush()),
    async [Symbol.asyncDispose]() {
      connection.closed(line);
    },
  };
}

function moveMark({ system, instance }: Connection, session: Session, batch: number): void {
  if (system.marked(instance, 'deliver') >= batch) {
    throw halt('target.fenced', `batch ${batch} is not new`, 'stop the other one');
  }
  session.mark({ instance, lane: 'deliver', batch });
}

/** `watch`, and what tells it of the commit of all that it was shown. */
function noting(watch: Watch): { readonly noted: Watch; told(): void } {
  const done: (() => void)[] = [];
  return {
    noted(...what) {
      const told = watch(...what);
      done.push(told);
      return told;
    },
    told() {
      for (const told of done) told();
    },
  };
}

function updateAlone(
  connection: Connection,
  batch: number,
  write: TableWrite,
  watch: Watch,
): Outcome[] | null {
  const { system } = connection;
  const session = system.session('carrick');
  const { noted, told } = noting(watch);
  try {
    moveMark(connection, session, batch);
    refuseMisfit(system, write.table, 'target');
    const outcomes = write.rows.map((row): Outcome => {
      const outcome = changeRow(system, session, write, row, noted);
      return outcome.kind === 'already' ? { kind: 'diverged' } : outcome;
    });
    session.commit(told);
    return outcomes;
  } catch (error) {
    session.rollback();
    if (error instanceof Refusal) return null;
    throw error;
  }
}

function openTransaction(
  system: SimulatedSystem,
  session: Session,
  call: <T>(label: string, effect: () => T) => Promise<T>,
  watch: Watch,
): ApplyTransaction {
  const attempt = <T>(effect: () => T): T => {
    if (!session.open) throw unreachable('target');
    return effect();
  };
  const { noted, told } = noting(watch);
  return {
    async write(write) {
      const outcomes: Outcome[] = [];
      // A row that someone holds is waited for; what was written before it stays written.
      return call('write', () =>
        attempt(() => {
          refuseMisfit(system, write.table, 'target');
          for (const row of write.rows.slice(outcomes.length)) {
            outcomes.push(writeRow(system, session, write, row, noted));
          }
          return outcomes;
        }),
      );
    },
    inTheWay: (insert, columns) =>
      call('in the way', () =>
        attempt(() =>
          insert.rows.map((row) =>
            standing(system, session, insert, row).map(({ cells }) =>
              columns.map((column) => cells[column] ?? null),
            ),
          ),
        ),
      ),
    commit: () => call('commit', () => attempt(() => session.commit(told))),
    async [Symbol.asyncDispose]() {
      session.rollback();
    },
  };
}

function writeRow(
  system: SimulatedSystem,
  session: Session,
  write: TableWrite,
  row: RowWrite,
  watch: Watch,
): Outcome {
  try {
    return write.op === 'insert'
      ? insertRow(system, session, write, row)
      : changeRow(system, session, write, row, watch);
  } catch (error) {
    if (error instanceof Refusal) {
      return { kind: 'refused', code: error.code, reason: error.message };
    }
    throw error;
  }
}

const cellsOf = (columns: readonly string[], values: readonly Value[]): Record<string, Value> =>
  Object.fromEntries(columns.map((column, i) => [column, values[i] ?? null]));

/** The rows that an insert's key or a guard hits; `Blocked` while somebody else holds one. */
function standing(
  system: SimulatedSystem,
  session: Session,
  { table, columns, guards }: TableWrite,
  row: RowWrite,
): StoredRow[] {
  const cells = cellsOf(columns, row.values);
  const own = row.key === null ? null : rowKey(row.key);
  if (own !== null) session.row(table, own);
  return session.rows(table).filter((other) => {
    const at = system.keyOf(table, other.cells);
    const hit = guards.some((guard) => guard.every((c) => other.cells[c] === cells[c]));
    if (hit) session.row(table, at);
    return hit || at === own;
  });
}

function insertRow(
  system: SimulatedSystem,
  session: Session,
  write: TableWrite,
  row: RowWrite,
): Outcome {
  if (standing(system, session, write, row).length > 0) return { kind: 'diverged' };
  const { table, columns, key } = write;
  const cells = cellsOf(columns, row.values);
  const made = session.insert(table, cells);
  return { kind: 'applied', key: key.map((column) => made.cells[column] ?? null) };
}

function changeRow(
  system: SimulatedSystem,
  session: Session,
  write: TableWrite,
  row: RowWrite,
  watch: Watch,
): Outcome {
  const { table, columns, compare, op } = write;
  const key = rowKey(row.key ?? []);
  const found = session.row(table, key);
  if (found === null) return op === 'delete' ? { kind: 'already' } : { kind: 'diverged' };
  const holds = (names: readonly string[], values: readonly Value[]): boolean =>
    names.every((name, i) => found.cells[name] === (values[i] ?? null));
  if (op === 'update' && holds(columns, row.values)) return { kind: 'already' };
  if (!holds(compare, row.expect)) return { kind: 'diverged' };
  if (op === 'delete') {
    session.delete(table, key);
    watch(system, write, key, found.cells);
    return { kind: 'applied', key: row.key ?? [] };
  }
  const { cells } = session.update(table, key, cellsOf(columns, row.values));
  watch(system, write, key, found.cells);
  const { key: names } = write;
  return { kind: 'applied', key: names.map((name) => cells[name] ?? null) };
}
