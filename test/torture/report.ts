/** What a violation leaves behind: the whole history of the thing, and everything else in files. */
import { cpSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Change, RowState } from './audit.ts';
import type { Evidence, Violation } from './oracle.ts';
import type { World } from './world.ts';

export type Say = (line: string) => void;

const SHOWN = 5;
const LINES = 60;

export function tellViolations(
  world: World,
  { history, journal, diary }: Evidence,
  violations: readonly Violation[],
  say: Say,
): void {
  for (const { check, detail } of violations) say(`VIOLATION ${check}: ${detail}`);
  for (const { check, detail, about } of violations.slice(0, SHOWN)) {
    say(`\nhistory behind ${check}: ${detail}`);
    const changes = history.changes.filter(({ who, tx }) =>
      about.some((text) => who === text || tx === text),
    );
    const events = changes.map((change) => ({ at: instantOf(change), line: toldChange(change) }));
    const cases = journal
      .filter((entry) => about.some((text) => JSON.stringify(entry).includes(`${text}"`)))
      .map((entry) => ({ at: entry.at, line: `journal ${JSON.stringify(entry)}` }));
    const lines = [...events, ...cases].toSorted((a, b) => a.at - b.at).map(({ line }) => line);
    const turns = new Set(changes.slice(-LINES).flatMap(({ tx }) => (tx === null ? [] : [tx])));
    const mentioned = diary.linesWith([...turns].map((tx) => `"tx":"${tx}"`));
    for (const line of [...lines.slice(-LINES), ...mentioned.slice(-LINES)]) say(`  ${line}`);
  }
  writeFileSync(join(world.folder, 'audit.json'), JSON.stringify(history.changes));
  writeFileSync(join(world.folder, 'journal.json'), JSON.stringify(journal));
}

/** The diary, the daemon's log, its ledger and the servers' logs stay in the run's folder. */
export function keep(world: World): void {
  const { folder, disk, servers } = world;
  world.kept = true;
  if (disk !== null) cpSync(disk.folder, join(folder, 'ledger-copy'), { recursive: true });
  for (const { dataDir } of Object.values(servers)) {
    if (dataDir === undefined) continue;
    const home = dirname(dataDir);
    cpSync(join(home, 'log'), join(folder, `${basename(home)}.log`));
  }
}

const instantOf = ({ at }: Change): number =>
  Date.parse(`${at.replace(' ', 'T').replace(/\+00$/, '')}Z`) * 1000;

function toldChange({ system, seq, at, tx, entity, who, before, after }: Change): string {
  const author = tx ?? 'Carrick';
  return `${at} ${system} #${seq} ${author}: ${entity} ${who} ${toldStep(before, after)}`;
}

function toldStep(before: RowState | null, after: RowState | null): string {
  if (before === null) return `+ ${JSON.stringify(after)}`;
  if (after === null) return `- ${JSON.stringify(before)}`;
  const [old, now] = [flat(before), flat(after)];
  const changed = Object.keys(now).filter((name) => old[name] !== now[name]);
  return changed.map((name) => `${name}: ${old[name]} → ${now[name]}`).join(', ') || 'unchanged';
}

const flat = ({ fields, ...rest }: RowState): Readonly<Record<string, unknown>> => ({
  ...rest,
  ...fields,
});
