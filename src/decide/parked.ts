import type { Ledger, Parked } from '../contract/ledger.ts';
import { linkText, type Working } from '../reconcile/working.ts';
import { driftText, refusalText } from './pass.ts';

const PAGE = 1000;

/** All that is parked, of one entity or of any, the newest first; a page of it is in memory. */
export async function* everyParked({ desk }: Ledger, entity?: string): AsyncGenerator<Parked> {
  const filter = entity === undefined ? {} : { entity };
  for (let before = Number.MAX_SAFE_INTEGER; ; ) {
    const page = await desk.parked({ ...filter, before, limit: PAGE });
    yield* page;
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE) return;
    before = last.id;
  }
}

/** What is kept in memory of the parked; see `Decisions`. */
export interface ParkedNotes {
  readonly refusals: Map<string, number>;
  readonly drifted: Map<string, number>;
  readonly awaited: Set<string>;
}

/** Brings the notes to what the ledger holds. */
export async function noteParked(
  ledger: Ledger,
  { refusals, drifted, awaited }: ParkedNotes,
): Promise<void> {
  for (const noted of [refusals, drifted, awaited]) noted.clear();
  for await (const item of everyParked(ledger)) {
    if (item.kind === 'delivery') {
      refusals.set(refusalText(item.system, item.record), item.id);
    } else if (item.kind === 'row' && item.waits !== null) {
      awaited.add(linkText({ system: item.system, ...item.waits }));
    } else if (item.kind === 'hold' && item.reason === 'schema_drift') {
      drifted.set(driftText(item.system, item.entity), item.id);
    }
  }
}

export function noteAwaited(awaited: Set<string>, w: Working): void {
  for (const parked of w.parked.values()) {
    if (parked.kind === 'row' && parked.waits !== null) {
      awaited.add(linkText({ system: parked.system, ...parked.waits }));
    }
  }
}

export function keepRefusals(refusals: Map<string, number>, w: Working): void {
  if (w.unparked.size > 0) {
    for (const [text, id] of refusals) if (w.unparked.has(id)) refusals.delete(text);
  }
  for (const parked of w.parked.values()) {
    if (parked.kind === 'delivery') {
      refusals.set(refusalText(parked.system, parked.record), parked.id);
    }
  }
}

export function keepDrifts(drifted: Map<string, number>, w: Working): void {
  for (const [text, id] of drifted) if (w.unparked.has(id)) drifted.delete(text);
  for (const { id, kind, reason, system, entity } of w.parked.values()) {
    if (kind === 'hold' && reason === 'schema_drift') drifted.set(driftText(system, entity), id);
  }
}
