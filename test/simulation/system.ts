import type { Mark } from '../../src/model/change.ts';
import type { Position } from '../../src/model/position.ts';
import { type Micros, rowKey, type Value } from '../../src/model/value.ts';
import type { History, Removal, Write } from './history.ts';
import { type LooseEnd, openLooseEnd } from './loose-end.ts';
import { Blocked, type Scheduler } from './scheduler.ts';

/** Positions count transactions of the log, and changes inside of one. */
export const START = '0:0' as Position;

export type Cells = Readonly<Record<string, Value>>;

export interface TableDef {
  readonly name: string;
  readonly key: readonly string[];
  /** Column name to default. */
  readonly columns: Cells;
  /** The system gives the key to rows that come without one. */
  readonly generated: boolean;
  readonly unique: readonly (readonly string[])[];
  /** A foreign key, checked by every statement; null: there is none. */
  readonly references: {
    readonly column: string;
    readonly table: string;
    readonly onDelete: 'restrict' | 'cascade';
  } | null;
  /** Rewrites a row before it is stored. */
  trigger(before: Cells | null, row: Record<string, Value>): void;
  /** The field whose writes are followed, and how its cell reads; null: not followed. */
  follow(column: string): { readonly field: string; read(cell: Value): Value } | null;
  /** Soft-deleted, or outside of `where`. */
  hidden(row: Cells): boolean;
  /** Which real-world thing a row is about. */
  who(row: Cells): string;
}

export interface StoredRow {
  readonly cells: Cells;
  /** By column: the write that the content descends from. */
  readonly authors: Readonly<Record<string, Write | null>>;
}

export interface RowChange {
  readonly table: string;
  readonly before: StoredRow | null;
  readonly after: StoredRow | null;
}

export interface Commit {
  readonly id: string;
  readonly at: Micros;
  readonly mark: Mark | null;
  readonly changes: readonly RowChange[];
  /** The table of which the log says only that it was emptied. */
  readonly truncated: string | null;
  /** A table fits its mapping no longer (`detail`), or again (empty). */
  readonly drift: { readonly table: string; readonly detail: string } | null;
  /** False while it is in the log but readers and writers of its rows cannot see it yet. */
  visible: boolean;
}

export class Refusal extends Error {
  readonly code: string;
  constructor(code: string, reason: string) {
    super(reason);
    this.code = code;
  }
}

export interface Place {
  readonly commit: number;
  readonly change: number;
}

export type Author = 'user' | 'carrick';

export interface Session {
  /** The row as it can be written now; `Blocked` while someone else holds it. */
  row(table: string, key: string): StoredRow | null;
  rows(table: string): StoredRow[];
  insert(table: string, cells: Cells): StoredRow;
  update(table: string, key: string, cells: Cells): StoredRow;
  delete(table: string, key: string): void;
  truncate(table: string): void;
  /** Takes the lock of a mark. */
  mark(mark: Mark): void;
  /** `told` is called when it is on disk. */
  commit(told?: () => void): void;
  rollback(): void;
  readonly open: boolean;
}

/** One database: rows, locks, a log of committed transactions, marks. */
export interface SimulatedSystem {
  readonly name: string;
  readonly log: readonly Commit[];
  /** How many commits of the log are on disk: who reads the log is shown no others. */
  onDisk(): number;
  /** Brings the others to disk. */
  flush(): void;
  /** The server dies, and is there again without what was not on disk: so many commits. */
  fail(): number;
  /**
   * Writes into the log that a table fits its mapping no longer, or (empty) again. `Blocked` while
   * somebody has written rows of it: no server alters a table under an open transaction.
   */
  drift(table: string, detail: string): void;
  /** Why a table does not fit its mapping as of a commit of the log; empty: it does. */
  misfit(table: string, commit: number): string;
  session(author: Author): Session;
  /** Everybody's committed and visible rows, in key order. */
  visible(table: string): StoredRow[];
  marked(instance: string, lane: Mark['lane']): number;
  keyOf(table: string, cells: Cells): string;
  readonly tables: ReadonlyMap<string, TableDef>;
  /** Up to here the log is no longer kept: its reader said that it needs it no more. */
  forgotten: Position;
  /** Where in the log a user or a trigger last changed a cell. */
  touched(table: string, key: string, column: string): Place | null;
}

interface Store {
  readonly rows: Map<string, Map<string, StoredRow>>;
  readonly locks: Map<string, object>;
  readonly marks: Map<string, number>;
  readonly log: Commit[];
  readonly touched: Map<string, Place>;
  readonly loose: LooseEnd;
  readonly sessions: Set<Session>;
  next: number;
  /** What a server that died goes on with. */
  nextOnDisk: number;
}

export interface SystemParts {
  readonly name: string;
  readonly tables: readonly TableDef[];
  readonly scheduler: Scheduler;
  readonly history: History;
  readonly clock: () => Micros;
  /** Commits are in the log a while before others see them. */
  readonly late: () => boolean;
  /** A delivery is committed before it is on disk. */
  readonly lazy?: () => boolean;
}

export function openSystem(parts: SystemParts): SimulatedSystem {
  const tables = new Map(parts.tables.map((table) => [table.name, table]));
  const store: Store = {
    rows: new Map(parts.tables.map((table) => [table.name, new Map()])),
    locks: new Map(),
    marks: new Map(),
    log: [],
    touched: new Map(),
    loose: openLooseEnd(parts.name, parts.scheduler, () => {
      store.nextOnDisk = store.next;
    }),
    sessions: new Set(),
    next: 1,
    nextOnDisk: 1,
  };
  const open = new Set<{ changes: RowChange[] }>();
  const keyOf = (table: string, cells: Cells): string =>
    rowKey(tables.get(table)?.key.map((column) => cells[column] ?? null) ?? []);
  return {
    name: parts.name,
    tables,
    log: store.log,
    forgotten: START,
    keyOf,
    onDisk: () => store.log.length - store.loose.count(),
    flush: store.loose.flush,
    fail() {
      const lost = store.loose.count();
      for (const session of store.sessions) session.rollback();
      store.loose.lose();
      store.next = store.nextOnDisk;
      parts.scheduler.changed();
      return lost;
    },
    drift(table, detail) {
      for (const { changes } of open) {
        if (changes.some((change) => change.table === table)) throw new Blocked();
      }
      store.loose.flush();
      const commit = { ...emptyCommit(parts, store), drift: { table, detail } };
      store.log.push(commit);
      parts.scheduler.changed();
    },
    misfit: (table, commit) =>
      store.log.slice(0, commit).findLast(({ drift }) => drift?.table === table)?.drift?.detail ??
      '',
    session: (author) => openSession({ ...parts, author, store, defs: tables, keyOf, open }),
    visible(table) {
      const rows = new Map(store.rows.get(table));
      const hidden = [...store.log.filter((commit) => !commit.visible), ...open];
      for (const { changes } of hidden) {
        for (const change of [...changes].reverse()) {
          if (change.table !== table) continue;
          if (change.after !== null) rows.delete(keyOf(table, change.after.cells));
          if (change.before !== null) rows.set(keyOf(table, change.before.cells), change.before);
        }
      }
      return [...rows.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row);
    },
    marked: (instance, lane) => {
      if (store.locks.has(markLock({ instance, lane }))) throw new Blocked();
      return store.marks.get(markLock({ instance, lane })) ?? 0;
    },
    touched: (table, key, column) => store.touched.get(`${table} ${key} ${column}`) ?? null,
  };
}

const emptyCommit = ({ name, clock }: SystemParts, { log }: Store): Commit => ({
  id: `${name}-${log.length}`,
  at: clock(),
  mark: null,
  changes: [],
  truncated: null,
  drift: null,
  visible: true,
});

const markLock = ({ instance, lane }: Pick<Mark, 'instance' | 'lane'>) =>
  `mark ${instance} ${lane}`;

interface SessionParts extends SystemParts {
  readonly author: Author;
  readonly store: Store;
  readonly defs: ReadonlyMap<string, TableDef>;
  readonly open: Set<{ changes: RowChange[] }>;
  readonly keyOf: KeyOf;
}

function openSession(parts: SessionParts): Session {
  const { store, keyOf } = parts;
  const self = noWork();
  const lock = locksOf(parts, self);
  let open = true;
  const rowsOf = (table: string) => store.rows.get(table) ?? new Map<string, StoredRow>();
  const read = (table: string, key: string): StoredRow | null => {
    lock.check(`${table} ${key}`);
    return rowsOf(table).get(key) ?? null;
  };
  const put = (change: RowChange): void => {
    lock.take(change);
    swap(rowsOf(change.table), keyOf, change.table, change.before, change.after);
    self.changes.push(change);
    parts.open.add(self);
  };
  const end = (): void => {
    open = false;
    parts.open.delete(self);
    store.sessions.delete(session);
  };
  const session: Session = {
    get open() {
      return open;
    },
    row: read,
    rows: (table) => [...rowsOf(table).values()],
    insert(table, given) {
      const def = defOf(parts, table);
      const cells = newCells(store, def, given);
      const row = stored(parts, self, lock, { def, before: null, cells, given });
      put({ table, before: null, after: row });
      return row;
    },
    update(table, key, given) {
      const before = existingRow(read(table, key));
      const cells = { ...before.cells, ...given };
      const row = stored(parts, self, lock, { def: defOf(parts, table), before, cells, given });
      put({ table, before, after: row });
      self.removed.push(...outOfSight(parts, table, before, row));
      return row;
    },
    delete(table, key) {
      const before = existingRow(read(table, key));
      for (const [def, child] of childrenOf(parts, lock, table, before)) {
        put({ table: def.name, before: child, after: null });
        // Whoever deletes the parent: the system takes the child along.
        self.removed.push({ ...removalOf(parts, def.name, child), cascaded: true });
      }
      put({ table, before, after: null });
      if (parts.author === 'user') self.removed.push(removalOf(parts, table, before));
    },
    truncate(table) {
      for (const key of [...rowsOf(table).keys()]) this.delete(table, key);
      self.truncated = table;
    },
    mark(next) {
      lock.check(markLock(next));
      lock.hold(markLock(next));
      self.mark = next;
    },
    commit(told = () => undefined) {
      if (open) commitWork(parts, self, lock.release, told);
      end();
    },
    rollback() {
      if (!open) return;
      end();
      undoChanges(parts, self.changes);
      lock.release();
    },
  };
  store.sessions.add(session);
  return session;
}

function newCells(store: Store, def: TableDef, given: Cells): Record<string, Value> {
  const [column = ''] = def.key;
  const cells = { ...def.columns, ...given };
  if (def.generated && (cells[column] ?? null) === null) cells[column] = `${store.next++}`;
  return cells;
}

function existingRow(row: StoredRow | null): StoredRow {
  if (row === null) throw new Refusal('02000', 'no row');
  return row;
}

/** What one transaction has done so far. */
interface Work {
  readonly changes: RowChange[];
  readonly made: Write[];
  readonly removed: Removal[];
  readonly held: Set<string>;
  mark: Mark | null;
  truncated: string | null;
}

const noWork = (): Work => ({
  changes: [],
  made: [],
  removed: [],
  mark: null,
  truncated: null,
  held: new Set(),
});

/** Rows that go with the one that they refer to, if its foreign key lets it go. */
function childrenOf(
  { defs, store, keyOf }: SessionParts,
  lock: Locks,
  table: string,
  { cells }: StoredRow,
): [TableDef, StoredRow][] {
  const key = keyOf(table, cells);
  const children: [TableDef, StoredRow][] = [];
  for (const def of defs.values()) {
    if (def.references?.table !== table) continue;
    for (const row of store.rows.get(def.name)?.values() ?? []) {
      if (parentKey(def, row) !== key) continue;
      lock.check(`${def.name} ${keyOf(def.name, row.cells)}`);
      if (def.references.onDelete === 'restrict') throw new Refusal('23503', 'foreign key');
      children.push([def, row]);
    }
  }
  return children;
}

function parentKey({ references }: TableDef, { cells }: StoredRow): string | null {
  const value = references === null ? null : (cells[references.column] ?? null);
  return value === null ? null : rowKey([value]);
}

function checkParent(parts: SessionParts, { table, before, after }: RowChange): void {
  const def = defOf(parts, table);
  const key = after === null ? null : parentKey(def, after);
  if (key === null || (before !== null && parentKey(def, before) === key)) return;
  const parents = parts.store.rows.get(def.references?.table ?? '');
  if (parents?.has(key) !== true) throw new Refusal('23503', 'foreign key');
}

function removalOf(parts: SessionParts, table: string, { cells, authors }: StoredRow): Removal {
  const seen = Object.values(authors).filter((write) => write !== null);
  return { system: parts.name, table, who: defOf(parts, table).who(cells), seen };
}

/**
 * Who hides a row, or writes into a hidden one, does so out of everybody's sight. So does a
 * trigger when our write meets a row that was hidden meanwhile: what a later write of ours replaces
 * of that, before somebody brought the row back, is nobody's opinion.
 */
function outOfSight(
  parts: SessionParts,
  table: string,
  before: StoredRow,
  after: StoredRow,
): Removal[] {
  const { hidden } = defOf(parts, table);
  if (parts.author === 'user') return hidden(after.cells) ? [removalOf(parts, table, after)] : [];
  if (!hidden(before.cells)) return [];
  const now = new Set(Object.values(after.authors));
  const removal = removalOf(parts, table, before);
  return [{ ...removal, seen: removal.seen.filter((write) => write.hidden && !now.has(write)) }];
}

type KeyOf = (table: string, cells: Cells) => string;

function swap(
  rows: Map<string, StoredRow>,
  keyOf: KeyOf,
  table: string,
  old: StoredRow | null,
  next: StoredRow | null,
): void {
  if (old !== null) rows.delete(keyOf(table, old.cells));
  if (next !== null) rows.set(keyOf(table, next.cells), next);
}

function undoChanges({ store, keyOf }: SessionParts, changes: readonly RowChange[]): void {
  for (const { table, before, after } of [...changes].reverse()) {
    swap(store.rows.get(table) ?? new Map(), keyOf, table, after, before);
  }
}

function defOf({ defs }: SessionParts, table: string): TableDef {
  const found = defs.get(table);
  if (found === undefined) throw new Refusal('42P01', `no table ${table}`);
  return found;
}

type Locks = ReturnType<typeof locksOf>;

/** Rows and values of unique keys, from the first write on until the end of the transaction. */
function locksOf(parts: SessionParts, self: Work) {
  const { store, keyOf, scheduler } = parts;
  const check = (lock: string): void => {
    const owner = store.locks.get(lock);
    if (owner !== undefined && owner !== self) throw new Blocked();
  };
  const hold = (lock: string): void => {
    store.locks.set(lock, self);
    self.held.add(lock);
  };
  const parentOf = (def: TableDef, row: StoredRow): string[] => {
    const key = parentKey(def, row);
    return key === null ? [] : [`${def.references?.table} ${key}`];
  };
  const names = (table: string, row: StoredRow | null): string[] =>
    row === null
      ? []
      : [
          `${table} ${keyOf(table, row.cells)}`,
          ...parentOf(defOf(parts, table), row),
          ...defOf(parts, table)
            .unique.map((columns) => [columns, columns.map((column) => row.cells[column])] as const)
            .filter(([, cells]) => cells.every((cell) => cell !== null))
            .map(([columns, cells]) => `${table} ${columns} ${cells}`),
        ];
  return {
    check,
    hold,
    take(change: RowChange): void {
      const { table, before, after } = change;
      checkParent(parts, change);
      const locks = [...names(table, before), ...names(table, after)];
      for (const lock of locks) check(lock);
      for (const lock of locks) hold(lock);
    },
    release(): void {
      for (const lock of self.held) store.locks.delete(lock);
      self.held.clear();
      scheduler.changed();
    },
  };
}

interface Draft {
  readonly def: TableDef;
  readonly before: StoredRow | null;
  readonly cells: Record<string, Value>;
  readonly given: Cells;
}

/** The row as the system stores it: after its triggers, if no unique key says no. */
function stored(parts: SessionParts, self: Work, lock: Locks, draft: Draft): StoredRow {
  const { def, before, cells, given } = draft;
  const { store, keyOf } = parts;
  def.trigger(before?.cells ?? null, cells);
  const own = before === null ? null : keyOf(def.name, before.cells);
  for (const other of store.rows.get(def.name)?.values() ?? []) {
    const key = keyOf(def.name, other.cells);
    const clash =
      key === keyOf(def.name, cells) ||
      def.unique.some((u) => u.every((c) => cells[c] !== null && cells[c] === other.cells[c]));
    if (key === own || !clash) continue;
    lock.check(`${def.name} ${key}`);
    throw new Refusal('23505', 'unique key');
  }
  return { cells, authors: authorsOf(parts, def, before, cells, given, self.made) };
}

function commitWork(parts: SessionParts, self: Work, release: () => void, told: () => void): void {
  const { store, history, scheduler, name } = parts;
  const { mark, changes, made, removed, truncated } = self;
  const markBefore = mark === null ? 0 : (store.marks.get(markLock(mark)) ?? 0);
  if (mark !== null) store.marks.set(markLock(mark), mark.batch);
  if (mark === null && changes.length === 0) {
    release();
    return;
  }
  const empty = emptyCommit(parts, store);
  const { at } = empty;
  const settle = (): void => {
    history.commit(made, at);
    history.removals.push(...removed);
    told();
  };
  const isLoose = mark?.lane === 'deliver' && parts.lazy?.() === true;
  if (!isLoose) {
    store.loose.flush();
    settle();
  }
  const untouch = noteTouched(parts, changes);
  const visible = isLoose || !parts.late();
  const commit: Commit = { ...empty, mark, changes, truncated, visible };
  store.log.push(commit);
  if (isLoose) {
    const undo = (): void => {
      store.log.pop();
      untouch();
      store.marks.set(markLock(mark), markBefore);
      undoChanges(parts, changes);
    };
    store.loose.add({ settle, undo });
    release();
    return;
  }
  if (visible) {
    release();
    return;
  }
  scheduler.changed();
  scheduler.event(`visible ${name}`, () => {
    commit.visible = true;
    release();
  });
}

/** Who wrote what the row holds now. A cell that a trigger changed is a write of the system. */
function authorsOf(
  { name, author, history }: SessionParts,
  def: TableDef,
  before: StoredRow | null,
  next: Cells,
  given: Cells,
  made: Write[],
): StoredRow['authors'] {
  const authors: Record<string, Write | null> = { ...before?.authors };
  for (const [column, cell] of Object.entries(next)) {
    const followed = def.follow(column);
    if (followed === null || cell === (before?.cells[column] ?? null)) continue;
    const { field, read } = followed;
    const sent = given[column];
    if (author === 'carrick' && sent !== undefined) {
      authors[column] = history.find(field, read(sent));
      continue;
    }
    const seen = before?.authors[column] ?? null;
    const trigger = author === 'carrick';
    const who = def.who(next);
    const hidden = def.hidden(next);
    const value = read(cell);
    const write: Write = { system: name, field, who, value, seen, at: 0, trigger, hidden };
    made.push(write);
    authors[column] = write;
  }
  return authors;
}

/** Remembers which cells hold what no log reader knows yet; the result undoes it. */
function noteTouched(
  { author, store, keyOf }: SessionParts,
  changes: readonly RowChange[],
): () => void {
  const earlier = new Map<string, Place | undefined>();
  for (const [change, { table, before, after }] of changes.entries()) {
    const row = after ?? before;
    if (row === null) continue;
    for (const [column, cell] of Object.entries(row.cells)) {
      if (after !== null && before?.cells[column] === cell) continue;
      const place = { commit: store.log.length, change };
      if (author === 'carrick' && !row.authors[column]?.trigger) continue;
      const name = `${table} ${keyOf(table, row.cells)} ${column}`;
      if (!earlier.has(name)) earlier.set(name, store.touched.get(name));
      store.touched.set(name, place);
    }
  }
  return () => {
    for (const [name, place] of earlier) {
      if (place === undefined) store.touched.delete(name);
      else store.touched.set(name, place);
    }
  };
}
