/** People work on both sides until Ctrl-C; the terminal shows what flows and what conflicts. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { JournalEntry } from '../../src/contract/ledger.ts';
import { correction, ENTITIES } from './acts/load.ts';
import { differences, rowCount } from './books.ts';
import { clerks, random } from './clerks.ts';
import { total } from './daemon.ts';
import { decideOpen } from './person.ts';
import { plainView, type Scene, type SystemScene, screenView } from './screen.ts';
import { make, type Stage, told } from './stage.ts';

const REFRESH_MS = 500;
/** So long the person who decides takes to look at an open conflict. */
const THINKING_MS = 4000;
const WORK_MS = 300;
const KEPT = 50;
/** Pieces of work after which somebody corrects the row that was parked at the first load. */
const CORRECTED_AT = 40;

export async function live(stage: Stage, seed: number, stop: AbortSignal): Promise<void> {
  const view = process.stdout.isTTY ? screenView(process.stdout) : plainView(process.stdout);
  const began = Date.now();
  const work: string[] = [];
  const closing = new AbortController();
  const all = AbortSignal.any([stop, closing.signal]);
  await stage.carrick.start();
  try {
    await Promise.all([
      repeat(all, WORK_MS, people(stage, seed, work)),
      repeat(all, THINKING_MS, async () => void (await decideOpen(stage))),
      repeat(all, REFRESH_MS, async () => view.show(await observe(stage, began, work))),
    ]);
  } finally {
    closing.abort();
    view.close();
  }
}

async function repeat(stop: AbortSignal, every: number, step: () => Promise<void>): Promise<void> {
  while (!stop.aborted) {
    await step();
    await sleep(every, undefined, { signal: stop }).catch(() => {});
  }
}

/** One piece of work at a time; now and then both sides do it at once. */
function people(stage: Stage, seed: number, done: string[]): () => Promise<void> {
  const draw = clerks(seed);
  const next = random(seed + 1);
  let pieces = 0;
  return async () => {
    if (++pieces === CORRECTED_AT) await make(stage, correction);
    const { what, crm, erp } = draw();
    const side = next();
    const moves = side < 0.2 ? [crm, erp] : [side < 0.6 ? crm : erp];
    await Promise.all(moves.map((move) => make(stage, move)));
    const who = moves.map(({ system }) => system.toUpperCase()).join(' + ');
    done.push(`${clock(Date.now())}  ${who.padEnd(9)}  ${what}`);
    if (done.length > KEPT) done.shift();
  };
}

async function observe(stage: Stage, began: number, work: readonly string[]): Promise<Scene> {
  const { carrick, edits } = stage;
  const [books, samples, status, entries] = await Promise.all([
    stage.readBooks(),
    carrick.metrics(),
    carrick.operator.status(),
    carrick.operator.conflicts({ limit: KEPT }),
  ]);
  const systems = (['crm', 'erp'] as const).map((name): SystemScene => {
    const at = { system: name };
    const found = status.systems.find(({ system }) => system === name);
    return {
      name,
      rows: ENTITIES.map((entity) => rowCount(books[name], entity)),
      edits: edits[name],
      read: total(samples, 'carrick_captured_rows_total', at),
      written: total(samples, 'carrick_applied_rows_total', at),
      waiting: found?.outboxDepth ?? 0,
      lagSeconds: found?.lagSeconds ?? null,
      state: found?.trouble?.message ?? `${found?.source}, ${found?.target}`,
    };
  });
  return {
    seconds: Math.floor((Date.now() - began) / 1000),
    entities: ENTITIES,
    systems,
    apart: differences(books.crm, books.erp, new Set()).length,
    open: status.openConflicts,
    parked: Object.values(status.parked).reduce((sum, n) => sum + n, 0),
    work,
    policies: policies(samples),
    // First contacts tell of the past; what people do now is what counts here.
    conflicts: entries.filter(({ kind }) => kind !== 'first_contact').map(line),
  };
}

const line = (found: JournalEntry): string => `${clock(found.at / 1000)}  ${told(found)}`;

const clock = (ms: number): string => new Date(ms).toISOString().slice(11, 19);

/** `last_writer 12 · max 3`: how often each kind of policy decided since Carrick started. */
function policies(samples: Parameters<typeof total>[0]): string {
  const counts = new Map<string, number>();
  for (const { name, labels, value } of samples) {
    if (name !== 'carrick_conflicts_total') continue;
    const kind = labels.policy ?? '';
    counts.set(kind, (counts.get(kind) ?? 0) + value);
  }
  return [...counts].map(([kind, count]) => `${kind} ${count}`).join(' · ');
}
