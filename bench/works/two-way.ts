import { startPostgres, type TestServer } from '../../test/support/index.ts';
import type { Bench, Contender, Sizes } from '../bench.ts';
import { prepareDaemon } from '../daemon.ts';
import { openSide, untilAgreed, untilVisible } from '../side.ts';

type Loads = Sizes['replicated'];
/** Of all rows that are changed, the share that both sides change at once. */
const CONFLICTS = 0.01;

export const twoWay: Bench = {
  name: 'two-way',
  leavesOut: [
    'Both are backlogs of single-row updates between two PostgreSQL servers, timed from the ' +
      'start of the daemon until both sides hold the same.',
    'Two-way: each side changes half of the rows, and 1 % of the rows are changed by both; a ' +
      'policy decides each conflict, and the journal keeps it.',
  ],
  async open({ replicated }, stack) {
    const [one, other] = [stack.use(await start()), stack.use(await start())];
    return {
      figures: [
        {
          key: 'updates',
          work: `two-way with 1 % conflicts, ${replicated.singles.toLocaleString('en')} updates`,
          unit: 'updates/s',
          goals: { 'Carrick one-way': { atLeast: 0.6 } },
        },
      ],
      contenders: [
        contender('Carrick', one, other, replicated, { share: 0.5, fed: false }),
        contender('Carrick one-way', one, other, replicated, { share: 0, fed: false }),
        contender('Carrick feed', one, other, replicated, { share: 0, fed: true }),
      ],
    };
  },
};

const start = (): Promise<TestServer> => startPostgres({ durable: true });

/** `share` of the rows are changed in the ERP, the others in the CRM. */
function contender(
  name: string,
  one: TestServer,
  other: TestServer,
  { singles }: Loads,
  { share, fed }: { share: number; fed: boolean },
): Contender {
  return {
    name,
    async run() {
      await using crm = await openSide(one);
      await using erp = await openSide(other);
      await using daemon = await prepareDaemon(crm, erp, { fed });
      daemon.start();
      await daemon.ready();
      await crm.insert(1, singles);
      await untilVisible(erp, singles, 0);
      await daemon.drained();
      await daemon.stop();
      const border = Math.round(singles * (1 - share));
      const both = share === 0 ? 0 : Math.round((singles * CONFLICTS) / 2);
      await crm.update(1, border + both, 1);
      if (share > 0) await erp.update(border + 1 - both, singles, 2);
      const started = performance.now();
      daemon.start();
      if (share > 0) await untilVisible(crm, singles, 2);
      await untilVisible(erp, border - both, 1);
      await untilAgreed(crm, erp);
      const seconds = (performance.now() - started) / 1000;
      return { updates: (singles + 2 * both) / seconds };
    },
  };
}
