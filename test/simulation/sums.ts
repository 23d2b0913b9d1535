import { entityOf, type Fail, type State, wentAlong, whoOf } from './oracle.ts';
import type { Diary } from './users.ts';

/** Sums and unions are exact: every delta once, every member there. */
export function checkSums(state: State, fail: Fail): void {
  const { diary } = state.outcome;
  const seen = new Set<string>();
  for (const record of state.records.values()) {
    const who = whoOf(record);
    if (diary.disturbed.has(who) || wentAlong(state, who)) continue;
    // One row was gone and another one there when the table was read again.
    if (untold(state, diary.moves).some((move) => move.who === who)) continue;
    if (seen.has(who)) fail('doubled', `${who} has two records`);
    seen.add(who);
    const entity = entityOf(state, record.entity);
    const at = (name: string): number => entity.fields.findIndex((field) => field.name === name);
    const sum = record.values[at(entity.name === 'customer' ? 'points' : 'qty')] ?? null;
    const deltas = diary.deltas.get(who) ?? null;
    const missing = Number(deltas) - Number(sum);
    if (missing !== 0 && !isUntold(state, who, missing)) {
      fail('sum', `${who} has ${sum} of ${deltas}`);
    }
    if (entity.name !== 'customer') continue;
    const tags = JSON.parse(record.values[at('tags')] ?? '[]') as string[];
    const members = [...(diary.members.get(who) ?? [])].filter((one) => !tags.includes(one));
    if (members.length > 0) fail('union', `${who} lacks ${members}`);
  }
}

/**
 * While a table did not fit its mapping its log told nothing: what its rows hold afterwards is only
 * read, and is no change where it is what the others have made of the record. So what was added
 * there meanwhile, one time after the other, may count once with as much that was added elsewhere.
 */
function isUntold(state: State, who: string, missing: number): boolean {
  for (const name of state.outcome.systems.keys()) {
    const added = untold(state, state.outcome.diary.steps).filter(
      (step) => step.who === who && step.system === name,
    );
    for (let from = 0; from < added.length; from++) {
      let sum = 0;
      for (const { delta } of added.slice(from)) {
        sum += delta;
        if (sum === missing) return true;
      }
    }
  }
  return false;
}

/** What was done in a table before it fitted its mapping for good. */
function untold<T extends Diary['moves'][number]>({ outcome }: State, done: readonly T[]): T[] {
  return done.filter(({ system, table, commit }) => {
    const log = outcome.systems.get(system)?.log ?? [];
    return commit <= log.findLastIndex(({ drift }) => drift?.table === table);
  });
}
