/** From the last write of the users to the point where nothing moves any more. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { JournalEntry, Parked } from '../../src/contract/ledger.ts';
import type { Operator, Status } from '../../src/contract/operator.ts';
import { type Change, readAudit } from './audit.ts';
import { readBook } from './books.ts';
import { historyOf, thingOf } from './history.ts';
import type { Aftermath } from './losses.ts';
import type { Evidence, ParkedThing } from './oracle.ts';
import { openSession } from './session.ts';
import { type EntityName, SHAPES, SUMMED, SYSTEMS, type SystemName, whoOf } from './shapes.ts';
import type { World } from './world.ts';

/** Longer than every backoff, silence and lock timeout of Carrick and of the servers. */
const STILL_MS = 150_000;
const POLL_MS = 500;
/** So often in a row everything looks finished, before it is believed. */
const CALM_POLLS = 6;

export class Stuck extends Error {}

/** Waits for `reached` for as long as anything in the ledger or in the systems still moves. */
export async function whileMoving(
  world: World,
  what: string,
  reached: (status: Status) => Promise<boolean>,
): Promise<void> {
  let last = '';
  let since = performance.now();
  for (;;) {
    const status = await world.carrick.operator.status().catch(() => null);
    if (status !== null && (await reached(status))) return;
    const now = fingerprint(status);
    if (now !== last) since = performance.now();
    last = now;
    if (performance.now() - since > STILL_MS) {
      throw new Stuck(`${what} does not come, and nothing moves any more: ${told(status)}`);
    }
    await sleep(POLL_MS);
  }
}

const fingerprint = (status: Status | null): string =>
  JSON.stringify([
    status?.systems.map((one) => [one.position, one.outboxDepth, one.snapshots]),
    [status?.records, status?.openConflicts, status?.parked],
  ]);

const told = (status: Status | null): string =>
  status === null
    ? 'Carrick does not answer'
    : status.systems
        .map(({ system, source, target, outboxDepth, trouble }) => {
          const wrong = trouble === null ? '' : ` ${trouble.code} ${trouble.message}`;
          return `${system} ${source}/${target}, ${outboxDepth} to write${wrong}`;
        })
        .join('; ');

/**
 * Waits until both logs are read to the present and nothing is on its way, then decides what the
 * policies leave to a person, until nothing is left. Returns how much was decided.
 */
export async function drain(world: World): Promise<number> {
  await sentinels(world);
  for (let decided = 0; ; ) {
    await calm(world);
    const open = await journalOf(world.carrick.operator, 'open');
    if (open.length === 0) return decided;
    for (const { id, incoming, standing } of open) {
      const take = [incoming.system, standing.system].includes('crm') ? 'crm' : standing.system;
      await world.carrick.operator.resolve(id, { take });
      decided += 1;
    }
  }
}

let sentinelNumber = 0;

/** A product of each system that the other has too: everything before it was read. */
async function sentinels(world: World): Promise<void> {
  const number = ++sentinelNumber;
  for (const system of SYSTEMS) {
    await using session = await openSession(world.servers[system].url);
    const { table, no, columns } = SHAPES[system].product;
    await session.begin(`sentinel.${number}`);
    const text = `INSERT INTO ${table} (${no}, ${columns.title}) VALUES (?, ?)`;
    await session.run(text, `Z-${number}${system}`, `title sentinel ${number}${system}`);
    await session.run('COMMIT');
  }
  await whileMoving(world, 'the last write of each system in the other', async () => {
    const counts = await Promise.all(
      SYSTEMS.map(async (system) => {
        await using session = await openSession(world.servers[system].url);
        const { table, no } = SHAPES[system].product;
        const text = `SELECT COUNT(*) AS n FROM ${table} WHERE ${no} LIKE ?`;
        return (await session.run(text, `Z-${number}%`)).rows[0]?.n;
      }),
    );
    return counts.every((n) => n === '2');
  });
}

/** Nothing waits, nothing is written, and no mark moves, several times in a row. */
async function calm(world: World): Promise<void> {
  let quiet = 0;
  let last = '';
  await whileMoving(world, 'rest', async ({ systems, ...status }) => {
    const idle = systems.every(
      ({ source, outboxDepth, snapshots }) =>
        source === 'following' && outboxDepth === 0 && snapshots.every(({ done }) => done),
    );
    const now = JSON.stringify([status.records, status.openConflicts, await writesOf(world)]);
    quiet = idle && now === last ? quiet + 1 : 0;
    last = now;
    return quiet >= CALM_POLLS;
  });
}

export async function auditEnds(world: World): Promise<Record<SystemName, number>> {
  const ends = { crm: 0, erp: 0 };
  for (const system of SYSTEMS) {
    await using session = await openSession(world.servers[system].url);
    const { rows } = await session.run('SELECT MAX(seq) AS n FROM audit');
    ends[system] = Number(rows[0]?.n ?? 0);
  }
  return ends;
}

/** How far each system was written to, by users and by Carrick. */
async function writesOf(world: World): Promise<unknown> {
  const marks = SYSTEMS.map(async (system) => {
    await using session = await openSession(world.servers[system].url);
    return (await session.run('SELECT instance, lane, batch FROM carrick.carrick_mark')).rows;
  });
  return [await auditEnds(world), await Promise.all(marks)];
}

export async function journalOf(operator: Operator, state?: string): Promise<JournalEntry[]> {
  const all: JournalEntry[] = [];
  for (;;) {
    const before = all.at(-1)?.id;
    const page = await operator.conflicts({
      limit: 1000,
      ...(state === undefined ? {} : { state }),
      ...(before === undefined ? {} : { before }),
    });
    all.push(...page);
    if (page.length < 1000) return all;
  }
}

/** Everything the oracle needs, read when all is at rest. */
export async function gather(
  world: World,
  { journal, unconfirmed, unwatched }: Aftermath,
  before: Evidence | null,
): Promise<Evidence> {
  const { operator } = world.carrick;
  await using crm = await openSession(world.servers.crm.url);
  await using erp = await openSession(world.servers.erp.url);
  const changes = [...(await readAudit('crm', crm)), ...(await readAudit('erp', erp))];
  const history = historyOf(changes);
  const late = changes.filter((change) => isAfter(unconfirmed, change));
  const blind = changes.filter((change) => isAfter(unwatched, change));
  const parked = await operator.parked({ limit: 1000 });
  return {
    history,
    books: { crm: await readBook('crm', crm), erp: await readBook('erp', erp) },
    journal: [...journal, ...(await journalOf(operator))],
    parked: await Promise.all(parked.map((item) => thingBehind(operator, item))),
    diary: world.diary,
    unwatched: thingsOf(blind),
    twofold: renumbered(late)
      .intersection(made(late))
      .union(renumbered(blind))
      .union(before?.twofold ?? new Set()),
    unconfirmed: sumsOfCarrick(late).union(before?.unconfirmed ?? new Set()),
  };
}

const isAfter = (ends: Aftermath['unwatched'], { system, seq }: Change): boolean =>
  ends !== null && seq > ends[system];

const thingsOf = (changes: readonly Change[]): ReadonlySet<string> =>
  new Set(changes.map(({ entity, who }) => thingOf(entity, who)));

const renumbered = (changes: readonly Change[]): ReadonlySet<string> =>
  thingsOf(changes.filter(({ before, after }) => before && after && before.no !== after.no));

const made = (changes: readonly Change[]): ReadonlySet<string> =>
  thingsOf(changes.filter(({ before }) => before === null));

/** Things whose sum Carrick wrote. */
const sumsOfCarrick = (changes: readonly Change[]): ReadonlySet<string> =>
  thingsOf(
    changes.filter(({ tx, entity, before, after }) => {
      const field = SUMMED[entity] ?? '';
      return tx === null && before?.fields[field] !== after?.fields[field];
    }),
  );

async function thingBehind(operator: Operator, parked: Parked): Promise<ParkedThing> {
  const { entity, system } = parked;
  if (parked.kind === 'row') {
    const { no } = SHAPES[system as SystemName][entity as EntityName] ?? { no: '' };
    const number = parked.cells?.[no] ?? parked.key;
    return { parked, thing: thingOf(entity as EntityName, whoOf(number)) };
  }
  if (parked.kind === 'hold') return { parked, thing: `${entity} (several)` };
  const [found] = await operator.explain(entity, `#${parked.record}`).catch(() => []);
  const number = found?.fields[0]?.value ?? `#${parked.record}`;
  return { parked, thing: thingOf(entity as EntityName, whoOf(number)) };
}
