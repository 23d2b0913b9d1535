import type { Entity } from '../../src/contract/entity.ts';
import type { Ledger, LedgerHead, OutboxEntry } from '../../src/contract/ledger.ts';
import { openDecisions } from '../../src/decide/decisions.ts';
import { noteParked } from '../../src/decide/parked.ts';
import { routesOf } from '../../src/decide/routes.ts';
import { CarrickError } from '../../src/errors.ts';
import type { MemoryLedger } from '../../src/ledger/memory.ts';
import type { Report } from '../../src/observe/report.ts';
import { type Participant, type PipelineParts, runPipeline } from '../../src/pipeline.ts';
import {
  type Connection,
  openApplier,
  openSource,
  parsePosition,
  unreachable,
} from './connector.ts';
import { FOLLOWED, SHAPES } from './installation.ts';
import { clockOf, openLine, START as SIMULATION_START, settled } from './scheduler.ts';
import { slowLedger } from './slow-ledger.ts';
import { type Cells, type Place, type RowChange, type SimulatedSystem, START } from './system.ts';

import { Violation, type World } from './world.ts';

const INSTANCE = 'main';

/** Deliveries that are in memory at once: few, so that batches have seams. */
const PARTS = [1, 2, 5, 2000];

/** The ledger as the pipeline sees it: what is sent is looked at on its way. */
function watchedLedger(world: World, ledger: MemoryLedger): Ledger {
  const slow = slowLedger(world.scheduler, world.ledgerLine, ledger);
  return {
    ...slow,
    commit(changes) {
      const { positions } = ledger.head();
      for (const { system } of changes.batches ?? []) {
        world.plannedAt.set(system, positions[system]?.position ?? START);
      }
      checkWhole(world, changes.outbox?.send ?? [], positions);
      return slow.commit(changes);
    },
  };
}

/** Invariant 7: nothing of a transaction is sent before all of it was read. */
function checkWhole(
  { systems, violations }: World,
  sent: readonly OutboxEntry[],
  positions: LedgerHead['positions'],
): void {
  for (const { origin, transaction } of sent) {
    const read = parsePosition(positions[origin]?.position ?? START);
    const open = read.change > 0 ? systems.get(origin)?.log[read.commit]?.id : undefined;
    if (open === transaction) violations.push(new Violation('torn', `sent a part of ${open}`));
  }
}

/** Starts a new process on what the ledger holds. */
export async function boot(world: World): Promise<void> {
  const { entities, scenario, mutation } = world;
  world.stop = new AbortController();
  const line = openLine('ledger');
  world.ledgerLine = line;
  const { ledger } = world;
  const byName = new Map(entities.map((entity) => [entity.name, entity]));
  const { records } = await ledger.desk.counts();
  const seen = mutation?.ledger?.(watchedLedger(world, ledger)) ?? watchedLedger(world, ledger);
  const known = mutation?.entities?.(byName) ?? byName;
  const { systems } = scenario.setup;
  const decisions = openDecisions(
    seen,
    known,
    systems,
    { ...records },
    PARTS[scenario.seed % PARTS.length],
  );
  await noteParked(ledger, decisions);
  const parts: PipelineParts = {
    instance: INSTANCE,
    feeds: [],
    participants: scenario.setup.systems.map((system) =>
      participant(world, system, [...known.values()]),
    ),
    decisions,
    report: reportTo(world),
    loading: {
      share: scenario.setup.loadShare ?? 1,
      clock: clockOf(world.scheduler, line),
    },
  };
  world.running = true;
  world.decisions = decisions;
  const { stop } = world;
  const mutated = mutation?.parts?.(parts) ?? parts;
  const run = runPipeline(mutated, stop.signal).then(
    () => {
      if (stop === world.stop) world.running = false;
    },
    (error: unknown) => {
      if (stop === world.stop) world.violations.push(new Violation('failed', String(error)));
    },
  );
  // It never ends where the process is to die; what it waits for first is there now.
  await Promise.race([run, settled()]);
}

function participant(world: World, system: string, known: readonly Entity[]): Participant {
  const { tables, routes } = routesOf(system, known);
  const connect = (): Connection => connection(world, system);
  return {
    system,
    tables,
    routes,
    misfits: async () => misfitsOf(world, system, tables),
    openSource: async () => openSource(connect(), tables),
    openApplier: async () => openApplier(connect(), (...write) => watchWrite(world, ...write)),
  };
}

function misfitsOf(
  { systems }: World,
  name: string,
  tables: readonly { readonly name: string }[],
): Map<string, string> {
  const system = systems.get(name);
  return new Map(
    tables.flatMap(({ name: table }): [string, string][] => {
      const misfit = system?.misfit(table, system.log.length) ?? '';
      return misfit === '' ? [] : [[table, misfit]];
    }),
  );
}

function connection(world: World, name: string): Connection {
  const { scheduler, random, scenario } = world;
  const system = world.systems.get(name);
  if (system === undefined) throw new Error(`no system ${name}`);
  const line = openLine(name);
  const entry = { line, system: name };
  world.lines.add(entry);
  return {
    system,
    scheduler,
    random,
    line,
    instance: INSTANCE,
    minimal: scenario.setup.minimal[name] === true,
    sole: scenario.setup.sole?.includes(name) === true,
    down: () => (world.downUntil.get(name) ?? 0) > scheduler.now(),
    closed: () => {
      world.lines.delete(entry);
      scheduler.cut(line, unreachable('source'));
    },
  };
}

/**
 * Invariant 3: what is overwritten was read before. Compare-and-set compares contents, and that is
 * the contract (`TableWrite`): a cell that was changed and changed back, or that a row made anew
 * under the same key holds again, is the content that was read, whoever wrote it. Nothing else is.
 * What was read until the write was planned counts, even if more has been read since.
 */
function watchWrite(
  world: World,
  system: SimulatedSystem,
  { table, columns, op }: { table: string; columns: readonly string[]; op: string },
  key: string,
  now: Cells,
): () => void {
  const unread: string[] = [];
  const known = world.ledger.head().positions[system.name];
  const read = parsePosition(known?.position ?? START);
  const planned = parsePosition(world.plannedAt.get(system.name) ?? START);
  const shape = SHAPES[system.name]?.find((one) => one.table === table);
  for (const [field, column] of Object.entries(shape?.columns ?? {})) {
    if (!FOLLOWED.has(field) || (op !== 'delete' && !columns.includes(column))) continue;
    const at = system.touched(table, key, column);
    if (at === null || at.commit < read.commit) continue;
    if (at.commit === read.commit && at.change < read.change) continue;
    const shown = shownBetween(system, table, key, planned, read);
    if (shown.some((cells) => cells !== null && (cells[column] ?? null) === (now[column] ?? null)))
      continue;
    unread.push(`${system.name} ${table} ${key} ${column}`);
  }
  return () => {
    checkFlood(world, system, table, op);
    for (const place of unread) {
      world.violations.push(new Violation('blind', `${place} was overwritten unread`));
    }
  };
}

const FLOOD_MS = 600_000;

/**
 * Invariant 10, in setups that let one delete through in ten minutes of a log: as many as there are
 * sources and occasions on which such a window begins anew. A clock that jumps and a process that
 * starts are such occasions.
 */
function checkFlood(world: World, { name }: SimulatedSystem, table: string, op: string): void {
  const { scenario, scheduler, passedOn, figures, released, violations } = world;
  if (op !== 'delete' || scenario.setup.flood !== true || released) return;
  const passed = (passedOn.get(`${name} ${table}`) ?? 0) + 1;
  passedOn.set(`${name} ${table}`, passed);
  const passing = Math.floor((scheduler.now() - SIMULATION_START) / FLOOD_MS);
  const jumps = scenario.faults.filter(({ kind }) => kind === 'jump' || kind === 'stop').length;
  const windows = 1 + passing + jumps + figures.crashes;
  if (passed <= windows * (scenario.setup.systems.length - 1)) return;
  violations.push(new Violation('flood', `${passed} deletes were passed on to ${name} ${table}`));
}

/**
 * The row as the log showed it at the position `from`, and as it did until `to`; null: not there,
 * or gone.
 */
function* shownBetween(
  system: SimulatedSystem,
  table: string,
  key: string,
  from: Place,
  to: Place,
): Generator<Cells | null> {
  for (let commit = Math.min(to.commit, system.log.length - 1); commit >= 0; commit--) {
    const changes = system.log[commit]?.changes ?? [];
    const until = commit === to.commit ? to.change : changes.length;
    for (let change = until - 1; change >= 0; change--) {
      const { table: of, before, after } = changes[change] as RowChange;
      if (of !== table) continue;
      const isNow = after !== null && system.keyOf(table, after.cells) === key;
      if (!isNow && (before === null || system.keyOf(table, before.cells) !== key)) continue;
      yield isNow ? after.cells : null;
      const isOlder = commit < from.commit || (commit === from.commit && change < from.change);
      if (isOlder) return;
    }
  }
}

function reportTo(world: World): Report {
  const { stop } = world;
  const halted = (system: string, side: string, error: unknown): void => {
    if (stop !== world.stop || stop.signal.aborted) return;
    if (error instanceof CarrickError && error.code === 'source.lost' && world.purged) {
      world.lost = true;
      return;
    }
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    world.violations.push(new Violation('halted', `${system} ${side}: ${text}`));
  };
  return {
    moved: () => undefined,
    retrying: () => undefined,
    halted,
    stopped: () => undefined,
    following: () => undefined,
    loaded: () => undefined,
    decided: (_system, _batch, _units, { journal }) => {
      world.figures.conflicts += journal.filter(({ kind }) => kind === 'conflict').length;
    },
    released: () => undefined,
    target: () => undefined,
  };
}

/** What the process knew and waited for is gone; what was in flight may still arrive. */
export function endProcess(world: World): void {
  world.stop = new AbortController();
  world.scheduler.cut(world.ledgerLine, null);
  for (const { line } of world.lines) world.scheduler.cut(line, null);
  world.lines.clear();
  world.ledger = world.ledger.crash();
}
