/** A real system and the simulated one as stages of the same stories. */
import type { Applier, Outcome } from '../../src/contract/applier.ts';
import type { SourceBatch, Transaction } from '../../src/model/change.ts';
import type { Value } from '../../src/model/value.ts';
import { type Connection, endOfLog, openApplier, openSource } from '../simulation/connector.ts';
import { openHistory } from '../simulation/history.ts';
import { seeded } from '../simulation/random.ts';
import { openLine, openScheduler, settled } from '../simulation/scheduler.ts';
import { openSystem, type Session, START, type TableDef } from '../simulation/system.ts';
import type { User } from './driver.ts';
import { brief, type Installation, isFence, whole } from './installation.ts';
import { type Cells, type Scene, type Stage, type Step, TABLE, UNIQUE } from './story.ts';

export const STORY_DDL = `create table ${TABLE.name}
  (id int primary key, name varchar(200), amount decimal(12,2), unique (${UNIQUE}))`;

/** Without the marks of an applier that only made sure that its row is there. */
const briefs = (transactions: readonly Transaction[]): unknown[] =>
  transactions
    .filter(({ mark }) => mark?.batch !== 0)
    .map(({ mark, changes }) => [mark?.batch ?? null, ...changes.map(brief)]);

/** One batch in one transaction; rolled back where it does not commit. */
async function applyStep(
  applier: Applier,
  { writes, commits }: Extract<Step, { do: 'apply' }>,
): Promise<Outcome['kind'][]> {
  const outcomes: Outcome['kind'][] = [];
  await using transaction = await applier.begin((await applier.committed()) + 1);
  for (const write of writes) {
    outcomes.push(...(await transaction.write(write)).map(({ kind }) => kind));
  }
  if (commits) await transaction.commit();
  return outcomes;
}

const literal = (value: Value): string => (value === null ? 'null' : `'${value}'`);

function sqlOf(step: Step): string {
  switch (step.do) {
    case 'insert':
      return `insert into story values (${step.row.map(literal).join(', ')})`;
    case 'update': {
      const set = TABLE.columns.map((column, i) => `${column} = ${literal(step.row[i] ?? null)}`);
      return `update story set ${set.join(', ')} where id = ${step.id}`;
    }
    case 'delete':
      return `delete from story where id = ${step.id}`;
    default:
      return step.do;
  }
}

export async function realStage(
  it: Installation,
  session: () => Promise<User>,
): Promise<Stage & AsyncDisposable> {
  const users = await Promise.all([session(), session()]);
  const applier = await it.applier();
  const outcomes: Outcome['kind'][][] = [];
  return {
    async play(step) {
      if (step.do === 'apply') outcomes.push(await applyStep(applier, step));
      else await users[step.by]?.run(sqlOf(step));
    },
    async ending() {
      const rows = await it.user.rows('select id, name, amount from story order by id');
      const committed = await applier.committed();
      return {
        outcomes,
        log: briefs(await it.drain(await it.source(), it.origin)),
        rows,
        committed,
      };
    },
    async [Symbol.asyncDispose]() {
      for (const user of users) await user[Symbol.asyncDispose]();
    },
  };
}

const SIMULATED_TABLE: TableDef = {
  references: null,
  name: TABLE.name,
  key: TABLE.key,
  columns: { id: null, name: null, amount: null },
  generated: false,
  unique: [UNIQUE],
  trigger: () => undefined,
  follow: () => null,
  hidden: () => false,
  who: () => '',
};

/** A connection that nothing happens to. */
function connect(seed: number): Connection {
  const random = seeded(seed, 'simulated');
  const scheduler = openScheduler(random, false);
  return {
    system: openSystem({
      name: 'simulated',
      scheduler,
      history: openHistory(),
      clock: () => 0,
      late: () => false,
      tables: [SIMULATED_TABLE],
    }),
    scheduler,
    random,
    line: openLine('conforming'),
    instance: 'conforming',
    minimal: false,
    down: () => false,
    closed: () => undefined,
  };
}

/** Picks until the work is done: alone, it waits for nothing else. */
async function driven<T>({ scheduler }: Connection, work: Promise<T>): Promise<T> {
  let done = false;
  const result = work.finally(() => {
    done = true;
  });
  result.catch(() => undefined);
  for (await settled(); !done; await settled()) scheduler.step();
  return result;
}

/** All that its log tells, as a source of it does. */
async function logOf(connection: Connection): Promise<Transaction[]> {
  const stream = openSource(connection, [TABLE]).tail(START)[Symbol.asyncIterator]();
  const batches: SourceBatch[] = [];
  for (let at = START; at !== endOfLog(connection.system); ) {
    const next = await driven(connection, stream.next());
    if (next.done) break;
    batches.push(next.value);
    at = next.value.position;
  }
  return whole(batches).filter((each) => !isFence(each, connection.instance));
}

const cellsOf = (row: { readonly cells: Readonly<Record<string, Value>> }): Cells =>
  TABLE.columns.map((column) => row.cells[column] ?? null);

const named = (row: Cells): Record<string, Value> =>
  Object.fromEntries(TABLE.columns.map((column, i) => [column, row[i] ?? null]));

function act(session: Session, step: Step): void {
  if (step.do === 'insert') session.insert(TABLE.name, named(step.row));
  if (step.do === 'update') session.update(TABLE.name, step.id, named(step.row));
  if (step.do === 'delete') session.delete(TABLE.name, step.id);
  if (step.do === 'commit' || step.do === 'rollback') session[step.do]();
}

/** What the simulation runs its users and the real pipeline against. */
export function simulatedStage(seed: number): Stage & Scene {
  const connection = connect(seed);
  const { system } = connection;
  const applier = openApplier(connection, () => () => undefined);
  const outcomes: Outcome['kind'][][] = [];
  const sessions = new Map<number, Session>();
  return {
    rows: () => system.session('user').rows(TABLE.name).map(cellsOf),
    open: () => [...sessions.keys()],
    async play(step) {
      if (step.do === 'apply') {
        outcomes.push(await driven(connection, applyStep(applier, step)));
        return;
      }
      const session = sessions.get(step.by) ?? system.session('user');
      sessions.set(step.by, session);
      act(session, step);
      if (!session.open) sessions.delete(step.by);
    },
    async ending() {
      const log = briefs(await logOf(connection));
      const committed = await driven(connection, applier.committed());
      const rows = system.visible(TABLE.name).map(cellsOf);
      return { outcomes, log, rows: rows.sort((a, b) => Number(a[0]) - Number(b[0])), committed };
    },
  };
}
