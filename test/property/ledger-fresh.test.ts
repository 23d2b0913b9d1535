import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { OutboxEntry } from '../../src/contract/ledger.ts';
import { openFresh } from '../../src/ledger/fresh.ts';

const SYSTEM = 'erp';
/** A few entries are more than this. */
const LIMIT = 2000;
const SENT = { op: 'update', values: ['a', undefined, 'b'] } as const;

const seqs = fc.array(fc.nat(30), { maxLength: 6 });
const steps = fc.oneof(
  fc.record({ kind: fc.constant('add' as const), count: fc.integer({ min: 1, max: 5 }) }),
  fc.record({ kind: fc.constantFrom('send' as const, 'remove' as const, 'wait' as const), seqs }),
  fc.record({ kind: fc.constantFrom('free' as const, 'forget' as const, 'ask' as const) }),
);

/** What an outbox on disk would hold, beside what is kept of it. */
function twoOutboxes() {
  const disk = new Map<number, { entry: OutboxEntry; waits: boolean }>();
  let next = 1;
  let batch = 0;
  const highest = (): number =>
    Math.max(0, ...[...disk.values()].map((one) => one.entry.batch ?? 0));
  const fresh = openFresh(LIMIT, () => next, highest);
  const run = (step: typeof steps extends fc.Arbitrary<infer T> ? T : never): void => {
    if (step.kind === 'add') {
      for (let n = 0; n < step.count; n++) {
        const seq = next++;
        const base = { seq, system: SYSTEM, record: seq, entity: 'customer', since: 1 };
        const entry: OutboxEntry = {
          ...{ ...base, origin: 'crm', transaction: 't', batch: null, sent: null, attempts: 0 },
        };
        disk.set(seq, { entry, waits: false });
        fresh.add(entry);
      }
    } else if ('seqs' in step) {
      if (step.kind === 'send') batch += 1;
      for (const seq of step.seqs) {
        const held = disk.get(seq);
        if (held === undefined) continue;
        if (step.kind === 'remove') {
          disk.delete(seq);
          fresh.remove(SYSTEM, seq);
        } else if (step.kind === 'wait') {
          held.waits = true;
          fresh.wait(SYSTEM, seq);
        } else {
          held.entry = { ...held.entry, batch, sent: SENT };
          fresh.send(held.entry);
        }
      }
    } else if (step.kind === 'free') {
      for (const held of disk.values()) held.waits = false;
      fresh.freed(SYSTEM);
    } else if (step.kind === 'forget') fresh.forget();
    else ask();
  };
  const waiting = (): OutboxEntry[] =>
    [...disk.values()].flatMap(({ entry, waits }) => (waits || entry.batch !== null ? [] : entry));
  /** As the ledger does. */
  const ask = (): void => {
    const from = fresh.readyFrom(SYSTEM);
    if (!waiting().some(({ seq }) => seq < from)) fresh.caughtUp(SYSTEM);
  };
  return { disk, fresh, run, waiting, batches: () => batch };
}

test('what is kept of the outbox is what the disk holds, as far as it says', () => {
  fc.assert(
    fc.property(fc.array(steps, { maxLength: 40 }), (all) => {
      const { disk, fresh, run, waiting, batches } = twoOutboxes();
      for (const step of all) {
        run(step);
        const from = fresh.readyFrom(SYSTEM);
        expect(fresh.ready(SYSTEM)).toEqual(waiting().filter(({ seq }) => seq >= from));
        for (let batch = 1; batch <= batches(); batch++) {
          const sent = fresh.sent(SYSTEM, batch);
          if (sent === null) continue;
          const all = [...disk.values()].map(({ entry }) => entry);
          expect(sent).toEqual(all.filter((entry) => entry.batch === batch));
        }
      }
    }),
    { numRuns: 500 },
  );
});
