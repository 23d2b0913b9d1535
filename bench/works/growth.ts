import { startPostgres, type TestServer } from '../../test/support/index.ts';
import type { Bench, Contender } from '../bench.ts';
import { prepareDaemon } from '../daemon.ts';
import { ask, openSide, type Side } from '../side.ts';

const ROWS = 500;

/** The same updates over one table, and over many, each an entity of its own. */
export const entityGrowth: Bench = {
  name: 'entity-growth',
  leavesOut: [
    'A backlog of single-row updates, spread over the tables in turn, between two PostgreSQL ' +
      'servers, timed from the start of the daemon until all are in the target.',
  ],
  async open({ replicated, growth }, stack) {
    const start = () => startPostgres({ durable: true });
    const [one, other] = [stack.use(await start()), stack.use(await start())];
    const counts = growth.entities.toReversed();
    const updates = replicated.singles.toLocaleString('en');
    const work = `${updates} updates over ${counts[0]} entities against fewer`;
    return {
      figures: [{ key: 'updates', work, unit: 'updates/s', goals: {} }],
      contenders: counts.map((count, i) =>
        contender(i === 0 ? 'Carrick' : `with ${count}`, one, other, count, replicated.singles),
      ),
    };
  },
};

function contender(
  name: string,
  one: TestServer,
  other: TestServer,
  count: number,
  updates: number,
): Contender {
  const entities = Array.from({ length: count }, (_, i) => `account_${i + 1}`);
  return {
    name,
    async run() {
      await using crm = await openSide(one);
      await using erp = await openSide(other);
      await crm.insert(1, ROWS);
      for (const side of [crm, erp]) {
        for (const entity of entities) {
          await side.run(`create table ${entity}s (like accounts including all)`);
          await side.run(`insert into ${entity}s select * from accounts`);
        }
      }
      await using daemon = await prepareDaemon(crm, erp, { entities });
      daemon.start();
      await daemon.ready();
      const last = entities.at(-1);
      await until(erp, `select count(*) = ${ROWS} from ${last}s`);
      await daemon.drained();
      await daemon.stop();
      await crm.run(updatesOf(entities, updates));
      const started = performance.now();
      daemon.start();
      await until(erp, `select max(rev) = ${updates} from ${entities[(updates - 1) % count]}s`);
      return { updates: (updates * 1000) / (performance.now() - started) };
    },
  };
}

/** One transaction each; the log is what it is in production, but no commit waits for the disk. */
const updatesOf = (entities: readonly string[], updates: number): string => `do $$
  declare names text[] := array['${entities.join("','")}'];
  begin
    set local synchronous_commit = off;
    for i in 1..${updates} loop
      execute format('update %I set rev = $1 where id = $2',
        names[1 + (i - 1) % ${entities.length}] || 's')
        using i, 1 + (i / ${entities.length}) % ${ROWS};
      commit;
      set local synchronous_commit = off;
    end loop;
  end $$`;

async function until(side: Side, question: string): Promise<void> {
  const give = Date.now() + 10 * 60_000;
  while ((await ask(side, question)) !== 't') {
    if (Date.now() > give) throw new Error(`this did not come true: ${question}`);
    await new Promise((done) => setTimeout(done, 20));
  }
}
