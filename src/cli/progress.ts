import { setTimeout as sleep } from 'node:timers/promises';
import type { SnapshotStatus, Status } from '../contract/operator.ts';
import type { Context } from './command.ts';
import { age, count, paint, printable, type Style } from './terminal.ts';

const CELLS = 24;

/** `crm public.accounts [######------]  50%  1,000 of about 2,000 rows, 100/s, 10s left`. */
export function bar(system: string, found: SnapshotStatus, style: Style): string {
  const { table, rows, estimatedRows, rowsPerSecond, secondsLeft } = found;
  const name = printable(`${system} ${table}`);
  const rate = rowsPerSecond === null ? '' : `, ${count(Math.round(rowsPerSecond))}/s`;
  if (estimatedRows === null) return `${name}: ${count(rows)} rows so far${rate}`;
  const share = Math.min(1, rows / Math.max(1, estimatedRows));
  const full = Math.floor(share * CELLS);
  const drawn = paint('#'.repeat(full), 'green', style) + '-'.repeat(CELLS - full);
  const percent = `${Math.floor(share * 100)}%`.padStart(4);
  const of = `${count(rows)} of about ${count(Math.round(estimatedRows))} rows`;
  const left = secondsLeft === null || share === 1 ? '' : `, ${age(secondsLeft)} left`;
  return `${name} [${drawn}] ${percent}  ${of}${rate}${left}`;
}

/** Tables that are being read, those that `wanted` names. */
export const bars = (
  { systems }: Status,
  style: Style,
  wanted: (system: string, table: string) => boolean = () => true,
): string[] =>
  systems.flatMap(({ system, snapshots }) =>
    snapshots
      .filter(({ table, done }) => !done && wanted(system, table))
      .map((snapshot) => bar(system, snapshot, style)),
  );

const TERMINAL_MS = 1000;
/** In a log file nothing is drawn over. */
const FILE_MS = 10_000;

/** Shows again and again what `look` finds, on a terminal in place, until it is null or `stop`. */
export async function watch(
  { terminal, out }: Context,
  look: () => Promise<string | null>,
  stop: AbortSignal,
): Promise<void> {
  let lines = 0;
  while (!stop.aborted) {
    const text = await look();
    if (text === null) return;
    // Up over what was drawn before, and clear from there: ECMA-48, CUU and ED.
    out(terminal && lines > 0 ? `\x1b[${lines}A\x1b[J${text}` : text);
    lines = text.split('\n').length;
    await sleep(terminal ? TERMINAL_MS : FILE_MS, undefined, { signal: stop }).catch(() => {});
  }
}
