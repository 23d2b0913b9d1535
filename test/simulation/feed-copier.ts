import type {
  Copier,
  CopyTransaction,
  CopyWrite,
  FeedPlace,
  Trouble,
} from '../../src/contract/copier.ts';
import { halt } from '../../src/errors.ts';
import type { Position } from '../../src/model/position.ts';
import { rowKey, type Value } from '../../src/model/value.ts';
import { type Connection, unreachable } from './connector.ts';
import {
  type Commit,
  Refusal,
  type Session,
  type SimulatedSystem,
  type StoredRow,
} from './system.ts';

/** The table of places; every system that feeds write into has one. */
export const FEEDS = 'carrick_feed';

/** Told of each commit before anybody else, with the place that it began at. */
export type Committed = (commit: Commit, before: FeedPlace | null, after: FeedPlace) => void;

export function placeIn(row: StoredRow | null): FeedPlace | null {
  if (row === null) return null;
  const { position, progress } = row.cells;
  return { position: position as Position, progress: progress ?? '' };
}

/** The row of the place, locked or waited for. */
const placeRow = (session: Session, feed: string): StoredRow | null =>
  session.row(FEEDS, rowKey([feed]));

export function openCopier(connection: Connection, feed: string, committed: Committed): Copier {
  const { system, scheduler, line } = connection;
  const call = <T>(label: string, effect: () => T): Promise<T> =>
    scheduler.call(line, `${system.name} copy ${label}`, () => {
      if (connection.down()) throw unreachable('target');
      return effect();
    });
  let known: FeedPlace | null = null;
  return {
    async place() {
      known = await call('place', () => placeIn(placeRow(system.session('carrick'), feed)));
      return known;
    },
    async begin() {
      const session = system.session('carrick');
      line.onHangup.push(() => session.rollback());
      const before = await call('begin', () => {
        if (!session.open) throw unreachable('target');
        const place = placeIn(placeRow(session, feed));
        if (JSON.stringify(place) !== JSON.stringify(known)) {
          throw halt('target.fenced', `${feed} is fed by another Carrick`, 'stop the other one');
        }
        keep(session, feed, place);
        return place;
      });
      return openCopying({
        ...{ system, session, call },
        async commit(place) {
          await call('commit', () => {
            if (!session.open) throw unreachable('target');
            keep(session, feed, place);
            session.commit();
            committed(system.log.at(-1) as Commit, before, place);
          });
          known = place;
        },
      });
    },
    async [Symbol.asyncDispose]() {
      connection.closed(line);
    },
  };
}

/** Writes the place, and so locks its row. */
function keep(session: Session, feed: string, place: FeedPlace | null): void {
  const cells = { feed, position: place?.position ?? '', progress: place?.progress ?? null };
  if (placeRow(session, feed) === null) session.insert(FEEDS, cells);
  else session.update(FEEDS, rowKey([feed]), cells);
}

interface Copying {
  readonly system: SimulatedSystem;
  readonly session: Session;
  readonly call: <T>(label: string, effect: () => T) => Promise<T>;
  readonly commit: CopyTransaction['commit'];
}

function openCopying({ system, session, call, commit }: Copying): CopyTransaction {
  return {
    write(write) {
      const troubles: Trouble[] = [];
      const rows = Math.max(write.rows.length, write.keys.length);
      let row = 0;
      // A row that someone holds is waited for; what was written before it stays written.
      return call('write', () => {
        if (!session.open) throw unreachable('target');
        for (; row < rows; row++) {
          const trouble = copyRow(system, session, write, row);
          if (trouble !== null) troubles.push(trouble);
        }
        return troubles;
      });
    },
    commit,
    async [Symbol.asyncDispose]() {
      session.rollback();
    },
  };
}

function copyRow(
  system: SimulatedSystem,
  session: Session,
  write: CopyWrite,
  row: number,
): Trouble | null {
  const { op, table, key, columns } = write;
  const values = write.rows[row] ?? [];
  const cells = Object.fromEntries(columns.map((column, i) => [column, values[i] ?? null]));
  const wanted: readonly Value[] =
    op === 'put' ? key.map((column) => cells[column] ?? null) : (write.keys[row] ?? []);
  const found = session
    .rows(table)
    .find((one) => key.every((column, i) => one.cells[column] === wanted[i]));
  try {
    if (found === undefined) {
      if (op === 'patch') return { kind: 'absent', row };
      if (op === 'put') session.insert(table, cells);
      return null;
    }
    const at = system.keyOf(table, found.cells);
    if (op === 'remove') session.delete(table, at);
    else session.update(table, at, cells);
    return null;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { kind: 'refused', row, code: error.code, reason: error.message };
  }
}
