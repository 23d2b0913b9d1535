import type { Entity } from '../contract/entity.ts';
import type {
  JournalEntry,
  Ledger,
  LedgerCommit,
  Link,
  LinkKey,
  Parked,
  SourceState,
} from '../contract/ledger.ts';
import type { RecordId } from '../model/record.ts';
import type { FloodCounts } from '../reconcile/flood.ts';
import {
  identityChanges,
  isComplete,
  type Loaded,
  linkChanges,
  linkText,
  type Numbers,
  nothingLoaded,
  queryOf,
  remember,
  type Working,
} from '../reconcile/working.ts';
import { type Bell, bell } from './bell.ts';
import { type Exclusively, mutex } from './mutex.ts';
import { keepDrifts, keepRefusals, noteAwaited, noteParked, type ParkedNotes } from './parked.ts';
import { type Ground, type Pass, runPass, type Unit } from './pass.ts';
import { preload } from './preload.ts';

/** Anything else that goes into the same commit, put into the working set. */
export type Extra = (w: Working) => void;

/** What was committed, for metrics and logs. */
export interface Decided {
  readonly journal: readonly JournalEntry[];
  readonly parked: readonly Parked[];
  readonly echoes: number;
  /** Rows that were linked now and that parked rows have been waiting for. */
  readonly due: readonly LinkKey[];
}

/**
 * The one place where anything is decided: units are decided one after the other with the ledger's
 * content in hand, and committed at once. Everything that reads and then writes the ledger runs in
 * `exclusively`, so no decision is made on what another one is just changing.
 */
export interface Decisions {
  readonly ledger: Ledger;
  readonly entities: ReadonlyMap<string, Entity>;
  readonly numbers: Numbers;
  readonly exclusively: Exclusively;
  /** Rung when a system's outbox got something that can be sent. */
  readonly bells: ReadonlyMap<string, Bell>;
  /** Keys that the appliers were told by the target, until their echo: by system and batch. */
  readonly generated: Map<string, ReadonlyMap<string, RecordId>>;
  /** The rows that parked rows wait for, as link texts. */
  readonly awaited: Set<string>;
  /** What targets refused, by seq: set before the target commits, parked at the echo. */
  readonly refused: Map<number, string>;
  /** Updates of which the target said that its row holds them already, by seq. */
  readonly already: Set<number>;
  /** Parked deliveries, by system and record: a new try makes them void. */
  readonly refusals: Map<string, number>;
  /** Holds of entities whose table in a system does not fit its mapping; see `tables.ts`. */
  readonly drifted: Map<string, number>;
  /** So many deliveries are in memory at once; a batch is read and written in such parts. */
  readonly partEntries: number;
  /** When a system last refused a table that seemed to fit, ms. */
  readonly refusedAt: Map<string, number>;
  /** The latest look behind which each system's log was decided; see `looks.ts`. */
  readonly looked: Map<string, number>;
  /**
   * Commits what was decided in `exclusively`. Whatever is read from the call on sees it, so that
   * others may build on it at once, and fail with it; to be awaited outside of `exclusively`.
   */
  put(changes: LedgerCommit): Promise<void>;
  /** What deciding would come to; nothing is kept. */
  rehearse(units: readonly Unit[]): Promise<Pass>;
  /** Resolves when it is on disk. */
  decide(...asked: Asked): Promise<Decided>;
  /** Resolves when it counts for what is decided next; on disk it is with `onDisk`. */
  commit(...asked: Asked): Promise<Decided & { readonly onDisk: Promise<void> }>;
}

/** Units to decide, the place of the log behind them, and what else goes into the commit. */
type Asked = [
  units: readonly Unit[],
  source?: { readonly system: string; readonly state: (w: Working) => SourceState },
  extra?: Extra,
];

export function openDecisions(
  ledger: Ledger,
  entities: ReadonlyMap<string, Entity>,
  systems: readonly string[],
  population: Record<string, number>,
  partEntries = 1000,
): Decisions {
  const head = ledger.head();
  const numbers: Numbers = { record: head.nextRecord, case: head.nextCase, seq: head.nextSeq };
  const bells = new Map(systems.map((system) => [system, bell()]));
  const referenced = new Set(
    [...entities.values()].flatMap(({ fields }) => fields.flatMap(({ ref }) => ref ?? [])),
  );
  const exclusively = mutex();
  const notes: ParkedNotes = { refusals: new Map(), drifted: new Map(), awaited: new Set() };
  const { refusals, drifted, awaited } = notes;
  const ground = {
    entities,
    numbers,
    floods: new Map() as FloodCounts,
    population,
    refused: new Map<number, string>(),
    already: new Set<number>(),
    refusals,
  };
  const { refused, already } = ground;
  /** As of the last commit that came about. */
  let floods: FloodCounts = ground.floods;
  const put = openPut(ledger, exclusively, notes, () => {
    ground.floods = floods;
  });

  const commit = async (...[units, source, extra]: Asked): Promise<Decided> => {
    const { pass, loaded, links, written } = await exclusively(async () => {
      const { pass, loaded } = await settled(ledger, ground, units, extra);
      const { w } = pass;
      const links = linkChanges(w);
      const release = links.add.filter((link) => referenced.has(link.entity));
      const state = source?.state(w);
      const open = ledger.head().positions[source?.system ?? '']?.openTransaction ?? null;
      const written = put({
        ...(source && state ? { source: { system: source.system, state } } : {}),
        ...changesOf(pass, links, release),
      });
      Object.assign(numbers, w.numbers);
      keepRefusals(refusals, w);
      keepDrifts(drifted, w);
      ground.floods = pass.floods;
      const isOver = open !== null && state !== undefined && state.openTransaction !== open;
      ring(bells, { pass, units, release, isOver });
      return { pass, loaded, links, written };
    });
    await written;
    floods = pass.floods;
    noteEchoes(pass, { refused, already });
    noteAwaited(awaited, pass.w);
    const due = links.add.filter((link) => awaited.delete(linkText(link)));
    return { ...summary(pass, loaded, population), due };
  };

  return {
    ledger,
    entities,
    numbers,
    exclusively,
    bells,
    generated: new Map(),
    refused,
    already,
    ...notes,
    refusedAt: new Map(),
    partEntries,
    put,
    ...{ looked: new Map(), rehearse: rehearsal(ledger, ground, exclusively) },
    ...durably(ledger, commit),
  };
}

const rehearsal =
  (ledger: Ledger, ground: Ground, exclusively: Exclusively): Decisions['rehearse'] =>
  (units) =>
    exclusively(async () => (await settled(ledger, ground, units, undefined)).pass);

/** The next decision does not wait for the disk: it shares the sync. */
function durably(
  ledger: Ledger,
  commit: (...asked: Asked) => Promise<Decided>,
): Pick<Decisions, 'decide' | 'commit'> {
  return {
    async decide(...asked) {
      const decided = await commit(...asked);
      await ledger.synced();
      return decided;
    },
    async commit(...asked) {
      const decided = await commit(...asked);
      const onDisk = ledger.synced('later');
      // Whoever builds on it learns of a failure.
      onDisk.catch(() => undefined);
      return { ...decided, onDisk };
    },
  };
}

function changesOf(
  { w, added: add, removed: remove, freed }: Pass,
  links: ReturnType<typeof linkChanges>,
  release: readonly Link[],
): LedgerCommit {
  return {
    records: [...w.touched.values()],
    erased: [...w.erased],
    links,
    identities: identityChanges(w),
    outbox: { add, send: [], remove, release, wait: freed.map((seq) => ({ seq, waits: null })) },
    journal: w.journal,
    closed: w.closed,
    parked: { put: [...w.parked.values()], remove: [...w.unparked] },
  };
}

/** Runs the pass until it has seen everything that it asks for. */
async function settled(
  ledger: Ledger,
  ground: Ground,
  units: readonly Unit[],
  extra: Extra | undefined,
): Promise<{ pass: Pass; loaded: Loaded }> {
  const loaded = nothingLoaded();
  await preload(ledger, loaded, units);
  for (;;) {
    const pass = runPass(ground, units, loaded);
    extra?.(pass.w);
    if (isComplete(pass.w.missing) && pass.short.size === 0) return { pass, loaded };
    for (const echo of pass.short) await echo.more();
    const query = queryOf(pass.w.missing);
    remember(loaded, query, await ledger.find(query));
  }
}

/** What a commit that failed, or that built on one, had noted did not come about. */
const openPut =
  (
    ledger: Ledger,
    exclusively: Exclusively,
    notes: ParkedNotes,
    failed: () => void,
  ): Decisions['put'] =>
  async (changes) => {
    try {
      await ledger.commit(changes);
    } catch (error) {
      failed();
      // A ledger that cannot be read any more either says so to whoever asks it next.
      await exclusively(() => noteParked(ledger, notes)).catch(() => undefined);
      throw error;
    }
  };

/** Wakes those who can send something now; `isOver`: a transaction that was open no longer is. */
function ring(
  bells: Decisions['bells'],
  {
    pass,
    units,
    release,
    isOver,
  }: {
    readonly pass: Pass;
    readonly units: readonly Unit[];
    readonly release: readonly Link[];
    readonly isOver: boolean;
  },
): void {
  // What an open transaction put into the outbox may be sent once it is complete, not before.
  const added = units.some(({ complete }) => complete) ? pass.added : [];
  const all = isOver || pass.freed.length > 0;
  const rung = all ? bells.keys() : [...added, ...release].map(({ system }) => system);
  for (const system of new Set(rung)) bells.get(system)?.ring();
}

function noteEchoes(
  { removed, shown }: Pass,
  { refused, already }: Pick<Decisions, 'refused' | 'already'>,
): void {
  for (const seq of removed) for (const noted of [refused, already]) noted.delete(seq);
  for (const [of, taken] of shown) for (const seq of taken) of.shown.add(seq);
}

function summary(
  pass: Pass,
  loaded: Loaded,
  population: Record<string, number>,
): Omit<Decided, 'due'> {
  for (const { id, entity } of pass.w.touched.values()) {
    if (loaded.records.get(id) == null) population[entity] = (population[entity] ?? 0) + 1;
  }
  for (const id of pass.w.erased) {
    const entity = loaded.records.get(id)?.entity;
    if (entity !== undefined) population[entity] = Math.max(0, (population[entity] ?? 0) - 1);
  }
  const { journal, parked } = pass.w;
  return { journal, parked: [...parked.values()], echoes: pass.echoes };
}
