import { entityOf, type Fail, type State, wentAlong, whoOf } from './oracle.ts';

/** Sums and unions are exact: every delta once, every member there. */
export function checkSums(state: State, fail: Fail): void {
  const { diary } = state.outcome;
  const seen = new Set<string>();
  for (const record of state.records.values()) {
    const who = whoOf(record);
    if (diary.disturbed.has(who) || wentAlong(state, who)) continue;
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
function isUntold({ outcome }: State, who: string, missing: number): boolean {
  const { systems, diary } = outcome;
  for (const [name, { log }] of systems) {
    const untold = diary.steps.filter(({ who: whose, system, table, commit }) => {
      const last = log.findLastIndex(({ drift }) => drift?.table === table);
      return whose === who && system === name && commit <= last;
    });
    for (let from = 0; from < untold.length; from++) {
      let sum = 0;
      for (const { delta } of untold.slice(from)) {
        sum += delta;
        if (sum === missing) return true;
      }
    }
  }
  return false;
}
