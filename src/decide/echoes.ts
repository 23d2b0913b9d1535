import type { Mark, SourceBatch, Transaction } from '../model/change.ts';
import { indexSending } from '../reconcile/echo.ts';
import type { Decisions } from './decisions.ts';
import type { EchoOf } from './pass.ts';

/** Under which the generated keys of a batch are kept until its echo. */
export const echoName = (system: string, batch: number): string => `${system}:${batch}`;

/**
 * What a batch carried, for the parts of its echo. It is loaded as the echo comes to it: rows show
 * in about the order in which they were sent, so that a page or two of it are in memory at a time
 * (invariant 8). What those do not explain makes the pass load more.
 */
export async function openEchoOf(
  { ledger, generated, refused, partEntries }: Decisions,
  system: string,
  batch: number,
): Promise<EchoOf> {
  let seq = 0;
  const echo: EchoOf = {
    batch,
    sending: indexSending([], refused, { system, seq }),
    keys: generated.get(echoName(system, batch)) ?? new Map(),
    shown: new Set(),
    async more() {
      const page = await ledger.sent(system, batch, seq, partEntries);
      seq = page.at(-1)?.seq ?? seq;
      const reach = page.length < partEntries ? null : { system, seq };
      echo.sending = indexSending([...echo.sending.entries, ...page], refused, reach);
    },
  };
  await echo.more();
  return echo;
}

export type EchoReader = (transaction: Transaction, batch: SourceBatch) => Promise<EchoOf | null>;

/** Finds what our own apply transactions carried; the parts of one share what they have shown. */
export function echoReader(decisions: Decisions, instance: string, system: string): EchoReader {
  let last: EchoOf | null = null;
  let readIn: SourceBatch | null = null;
  return async ({ mark }, batch) => {
    if (mark === null || !isDelivery(mark, instance)) return null;
    if (last?.batch !== mark.batch) {
      forgetBefore(decisions, system, mark.batch);
      last = await openEchoOf(decisions, system, mark.batch);
    } else if (readIn !== batch) {
      await nextPart(last, decisions);
    }
    readIn = batch;
    return last;
  };
}

/** Keys of batches that the log has passed; those of an earlier connection of the source too. */
function forgetBefore({ generated }: Decisions, system: string, batch: number): void {
  for (const name of generated.keys()) {
    const colon = name.lastIndexOf(':');
    const passed = Number(name.slice(colon + 1)) < batch;
    if (passed && name.slice(0, colon) === system) generated.delete(name);
  }
}

const isDelivery = (mark: Mark, instance: string): boolean =>
  mark.instance === instance && mark.lane === 'deliver';

/** Before the next part: what the last ones showed is done with. */
async function nextPart(echo: EchoOf, { refused, partEntries }: Decisions): Promise<void> {
  const { entries, reach } = echo.sending;
  const left = entries.filter(({ seq }) => !echo.shown.has(seq));
  echo.shown.clear();
  echo.sending = indexSending(left, refused, reach);
  if (reach !== null && left.length < partEntries) await echo.more();
}
