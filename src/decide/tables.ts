import {
  isFirstLoad,
  type Progress,
  parseProgress,
  progressOf,
  resyncOf,
  type Where,
} from '../capture/progress.ts';
import type { Parked, ParkedHold, SourceState } from '../contract/ledger.ts';
import type { Resync } from '../contract/operator.ts';
import { CarrickError } from '../errors.ts';
import type { TableSchema, TableSpec, Transaction } from '../model/change.ts';
import type { Routes } from '../reconcile/row-event.ts';
import { recordById, type Working } from '../reconcile/working.ts';
import type { Decided, Decisions, Extra } from './decisions.ts';
import { everyParked } from './parked.ts';
import { driftText, type Unit } from './pass.ts';
import { isPaused } from './pauses.ts';

/** The tables of one system, and a look at how they are declared now. */
export interface MappedTables {
  readonly system: string;
  readonly tables: readonly TableSpec[];
  readonly routes: Routes;
  /** Why tables do not fit the mappings that were compiled, by name; others are left out. */
  misfits(): Promise<ReadonlyMap<string, string>>;
}

/**
 * A table that does not fit its mapping (schema drift) is held: its rows are not decided, because
 * they would be half understood, and nothing is delivered to it. Other tables go on. When it fits
 * again it is read anew, because changes were missed.
 */
export interface TableWatch {
  isHeld(table: TableSpec): boolean;
  /** The routes without those of tables that are held. */
  routes(): Routes;
  /** Truncates and tables that fit no longer are held, with the batch that tells of them. */
  setAside(transactions: readonly Transaction[]): Extra;
  /** A held table fits again: the source has to be opened anew to see the tables as they are. */
  mended(transactions: readonly Transaction[]): Promise<boolean>;
}

/** Held tables are looked at so often: what mends a table may leave no trace in the log. */
const LOOK_MS = 10_000;

/** Compares tables as they were when the mappings were compiled with what they are now. */
export function misfitsOf(
  tables: readonly TableSpec[],
  mapped: readonly TableSchema[],
  now: readonly TableSchema[],
): Map<string, string> {
  const misfits = new Map<string, string>();
  for (const { name, columns } of tables) {
    const was = mapped.find((schema) => schema.name === name);
    const is = now.find((schema) => schema.name === name);
    const faults = is === undefined ? ['the table is gone'] : columnFaults(columns, was, is);
    if (faults.length > 0) misfits.set(name, faults.join('; '));
  }
  return misfits;
}

const columnFaults = (
  names: readonly string[],
  was: TableSchema | undefined,
  is: TableSchema,
): string[] =>
  names.flatMap((name) => {
    const before = was?.columns.find((column) => column.name === name);
    const column = is.columns.find((candidate) => candidate.name === name);
    if (column === undefined) return [`column ${name} is gone`];
    if (before === undefined || before.kind === column.kind) return [];
    return [`column ${name} is ${column.kind}, was ${before.kind}`];
  });

/** What a table's rows are read for; see `Progress.contents`. */
export const contentsOf = (table: TableSpec, routes: Routes): string[] => [
  ...table.columns,
  ...(routes.get(table) ?? []).flatMap(({ entity, lens }) =>
    entity.fields.flatMap(({ name }, f) => (lens.reads[f] ? [`${entity.name}.${name}`] : [])),
  ),
];

/** Entities to whose tables in `system` nothing is delivered now: paused, held, not read again. */
export function stoppedEntities({ entities, ledger, drifted }: Decisions, system: string) {
  const snapshots = ledger.head().positions[system]?.snapshots ?? {};
  const stopped: string[] = [];
  for (const { name, lenses } of entities.values()) {
    const table = lenses.get(system)?.table.name;
    if (table === undefined) continue;
    const held = drifted.has(driftText(system, name));
    const stays = held || isPaused(ledger, 'entity', name);
    if (stays || progressOf(snapshots, table).mends === true) stopped.push(name);
  }
  return stopped;
}

/**
 * Judges all tables before their log is followed: holds what does not fit, releases what does, and
 * has tables read again that were held or of which a mapping wants more than was read.
 */
export async function openTables(
  decisions: Decisions,
  mapped: MappedTables,
): Promise<{ watch: TableWatch; decided: Decided | null }> {
  const { system, tables, routes } = mapped;
  const misfits = await mapped.misfits();
  const fitting = tables.filter(({ name }) => !misfits.has(name));
  const released = fitting.flatMap((table) => holdsOf(decisions, system, table, routes));
  const renewed = (state: SourceState): SourceState['snapshots'] => {
    const snapshots = forgotten(state.snapshots, tables);
    for (const table of fitting) {
      const text = snapshots[table.name];
      const held = holdsOf(decisions, system, table, routes).length > 0;
      // Held before its first chunk: rows that the log told by then may be gone unnoticed.
      if (text === undefined && !held) continue;
      const next = renew(parseProgress(text), held, table, routes);
      if (next !== null) snapshots[table.name] = JSON.stringify(next);
    }
    return snapshots;
  };
  const before = decisions.ledger.head().positions[system];
  const same = before === undefined || sameTexts(before.snapshots, renewed(before));
  const holds = missingHolds(decisions, mapped, misfits);
  const decided =
    holds.length + released.length === 0 && same
      ? null
      : await decisions.decide(
          await heldBack(decisions, system, released),
          change(decisions, system, renewed),
          (w) => {
            for (const id of released) w.unparked.add(id);
            for (const hold of missingHolds(decisions, mapped, misfits)) putHold(w, hold);
          },
        );
  return { watch: watchTables(decisions, mapped), decided };
}

/** What the progress of a table that fits becomes; null: it stays as it is. */
function renew(progress: Progress, held: boolean, table: TableSpec, routes: Routes) {
  const contents = contentsOf(table, routes);
  const read = progress.contents;
  const isNew = read !== undefined && contents.some((one) => !read.includes(one));
  if (held || isNew) return resyncOf(progress, { contents, mends: true });
  // What is mapped no longer goes out of date: mapped again, it is read again.
  return read?.length === contents.length ? null : { ...progress, contents };
}

/** What no mapping names any more goes out of date as a whole; see {@link renew}. */
function forgotten(
  snapshots: SourceState['snapshots'],
  tables: readonly TableSpec[],
): Record<string, string> {
  const left = Object.entries(snapshots).map(([name, text]) => {
    if (tables.some((table) => table.name === name)) return [name, text];
    const progress = parseProgress(text);
    const isKnown = progress.contents?.length === 0;
    return [name, isKnown ? text : JSON.stringify({ ...progress, contents: [] })];
  });
  return Object.fromEntries(left);
}

const sameTexts = (a: SourceState['snapshots'], b: SourceState['snapshots']): boolean =>
  Object.entries(b).every(([table, text]) => a[table] === text);

/** A change of the progress of a system's tables that leaves its position where it is. */
export function change(
  { ledger }: Decisions,
  system: string,
  renewed: (state: SourceState) => SourceState['snapshots'],
) {
  if (ledger.head().positions[system] === undefined) return undefined;
  const state = (): SourceState => {
    const now = ledger.head().positions[system];
    if (now === undefined) throw new Error(`${system} has no position any more`);
    return { ...now, snapshots: renewed(now) };
  };
  return { system, state };
}

const holdsOf = (
  { drifted }: Decisions,
  system: string,
  table: TableSpec,
  routes: Routes,
): number[] =>
  (routes.get(table) ?? []).flatMap(({ entity }) => {
    const id = drifted.get(driftText(system, entity.name));
    return id === undefined ? [] : [id];
  });

type NewHold = Pick<ParkedHold, 'system' | 'entity' | 'since' | 'reason' | 'detail'>;

function putHold(w: Working, hold: NewHold): void {
  const id = w.numbers.case++;
  w.parked.set(id, { ...hold, id, kind: 'hold', records: [] });
}

function missingHolds(
  { drifted }: Decisions,
  { system, tables, routes }: MappedTables,
  misfits: ReadonlyMap<string, string>,
): NewHold[] {
  const since = Date.now() * 1000;
  return tables.flatMap((table) => {
    const detail = misfits.get(table.name);
    if (detail === undefined) return [];
    return (routes.get(table) ?? [])
      .filter(({ entity }) => !drifted.has(driftText(system, entity.name)))
      .map(({ entity: { name: entity } }) => {
        return { system, entity, since, reason: 'schema_drift', detail };
      });
  });
}

/** Deliveries that a target refused while its tables did not fit are tried again. */
async function heldBack(
  { ledger }: Decisions,
  system: string,
  released: readonly number[],
): Promise<Unit[]> {
  const units: Unit[] = [];
  for (const id of released) {
    const hold = await ledger.desk.parkedOne(id);
    if (hold === null) continue;
    const items: Parked[] = [];
    for await (const item of everyParked(ledger, hold.entity)) {
      if (item.system === system && item.since >= hold.since) items.push(item);
    }
    const at = Date.now() * 1000;
    const again = (w: Working): void => {
      for (const item of items) {
        if (item.kind !== 'delivery' || recordById(w, item.record) == null) continue;
        w.recent.add(item.record);
        w.unparked.add(item.id);
      }
    };
    const transaction = `released:${id}`;
    const base = { system, transaction, at, origin: 'reading', events: [] } as const;
    units.push({ ...base, echo: null, complete: true, act: again });
  }
  return units;
}

function watchTables(decisions: Decisions, mapped: MappedTables): TableWatch {
  const { system, tables, routes } = mapped;
  const isHeld = (table: TableSpec): boolean =>
    holdsOf(decisions, system, table, routes).length > 0;
  const heldNow = (): Set<string> => new Set(tables.filter(isHeld).map(({ name }) => name));
  let known = heldNow();
  let lookedAt = Date.now();
  return {
    isHeld,
    routes() {
      if (decisions.drifted.size === 0) return routes;
      return new Map([...routes].filter(([table]) => !isHeld(table)));
    },
    setAside: (transactions) => setAside(decisions, mapped, transactions),
    async mended(transactions) {
      const held = heldNow();
      const released = [...known].some((name) => !held.has(name));
      known = held;
      if (released || held.size === 0) return released;
      const told = transactions.some(({ changes }) =>
        changes.some(({ op, detail }) => op === 'drift' && detail === ''),
      );
      if (!told && Date.now() - lookedAt < LOOK_MS) return false;
      lookedAt = Date.now();
      const misfits = await mapped.misfits();
      return [...held].some((name) => !misfits.has(name));
    },
  };
}

/** Invariant 10, and drift: what a person has to see, as the log tells of it. */
function setAside(
  { drifted }: Decisions,
  { system, routes }: MappedTables,
  transactions: readonly Transaction[],
): Extra {
  return (w) => {
    const held = new Set<string>();
    for (const { changes, committedAt: since } of transactions) {
      for (const { op, table, detail: told = '' } of changes) {
        const isDrift = op === 'drift' && told !== '';
        if (op !== 'truncate' && !isDrift) continue;
        for (const { entity } of routes.get(table) ?? []) {
          const text = driftText(system, entity.name);
          if (isDrift && (drifted.has(text) || held.has(text))) continue;
          if (isDrift) held.add(text);
          const reason = isDrift ? 'schema_drift' : 'truncate';
          const detail = isDrift ? told : `${table.name} was truncated`;
          putHold(w, { system, entity: entity.name, since, reason, detail });
        }
      }
    }
  };
}

/**
 * What becomes of an error that a table which does not fit may have caused: the table is held, and
 * the loop that met the error goes on with the others.
 */
export async function blameTables(
  decisions: Decisions,
  mapped: MappedTables,
  error: unknown,
): Promise<unknown> {
  if (!(error instanceof CarrickError) || error.disposition === 'retry') return error;
  const misfits = await mapped.misfits().catch(() => new Map<string, string>());
  if (misfits.size === 0) return secondLook(decisions, mapped.system, error);
  if (missingHolds(decisions, mapped, misfits).length > 0) {
    await decisions.decide([], undefined, (w) => {
      // Looked at again in turn: the log may have told of it meanwhile, and one hold is enough.
      for (const hold of missingHolds(decisions, mapped, misfits)) putHold(w, hold);
    });
  }
  return asRetry(error);
}

const SECOND_LOOK_MS = 60_000;

/** A table that was refused may have been mended by the time it is looked at: once more, then. */
export function secondLook(
  { refusedAt }: Decisions,
  system: string,
  error: CarrickError,
): CarrickError {
  if (!error.code.endsWith('.refused')) return error;
  const before = refusedAt.get(system);
  refusedAt.set(system, Date.now());
  const again = before !== undefined && Date.now() - before < SECOND_LOOK_MS;
  return again ? error : asRetry(error);
}

const asRetry = (error: CarrickError): CarrickError =>
  new CarrickError(error.code, 'retry', error.message, error.fix, { cause: error });

/** Has the table of `entity` in `system` read again; `mends`: nothing is delivered to it before. */
export async function beginResync(
  decisions: Decisions,
  {
    system,
    entity,
    mends,
    absent,
    where,
  }: {
    system: string;
    entity: string;
    mends: boolean;
    absent?: Progress['absent'];
    where?: Where | undefined;
  },
  extra?: Extra,
): Promise<Resync> {
  const lens = decisions.entities.get(entity)?.lenses.get(system);
  const table = lens?.table.name ?? '';
  const held = decisions.drifted.has(driftText(system, entity));
  const before = decisions.ledger.head().positions[system]?.snapshots[table];
  const first = isFirstLoad(parseProgress(before));
  const renewed = ({ snapshots }: SourceState): SourceState['snapshots'] => {
    const progress = parseProgress(snapshots[table]);
    if (lens === undefined || (isFirstLoad(progress) && !mends)) return snapshots;
    return { ...snapshots, [table]: JSON.stringify(resyncOf(progress, { mends, absent, where })) };
  };
  await decisions.decide([], change(decisions, system, renewed), extra);
  return { system, table, state: held ? 'held' : first ? 'first load' : 'begun' };
}
