import { openSqliteLedger } from '../../src/ledger/sqlite.ts';
import { entry, link, outbox, PRIVACY, record, source } from '../unit/ledger-fixtures.ts';

/**
 * Commits for ever and prints the number of each commit once it was acknowledged; started by
 * `ledger-kill.test.ts`. Commit n adds record n with a link and an outbox entry, changes record
 * n - 1, and moves the position to n. Changed records are long, so that kills also fall into
 * checkpoints.
 */
const long = 'x'.repeat(200_000);
const ledger = await openSqliteLedger(process.argv[2] ?? '', { privacy: PRIVACY });
for (let n = ledger.head().nextRecord; ; n++) {
  const committed = ledger.commit({
    source: { system: 'crm', state: source(String(n)) },
    records: [record(n), ...(n > 1 ? [record(n - 1, { values: [`after ${n}`, long, null] })] : [])],
    links: { add: [{ ...link(`k${n}`), record: n }], remove: [] },
    ...outbox({ add: [entry(n)], remove: [n - 3] }),
  });
  // Several at once, so that kills also fall into shared transactions.
  const print = committed.then(() => ledger.synced()).then(() => process.stdout.write(`${n}\n`));
  if (n % 3 === 0) await print;
}
