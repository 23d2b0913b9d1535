/** Both servers, the proxies before them, Carrick, and everything that has to be put away again. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Random, seeded } from '../simulation/random.ts';
import { mountSmallDisk, type SmallDisk } from '../support/disk.ts';
import { ensureServers, freePort, startSystem, type TestServer } from '../support/index.ts';
import { createAudit } from './audit.ts';
import { type Carrick, openCarrick } from './carrick.ts';
import { type Diary, openDiary } from './diary.ts';
import { openProxy, type TcpProxy } from './proxy.ts';
import { openSession, type Session } from './session.ts';
import { SYSTEMS, type SystemName } from './shapes.ts';

export interface World extends AsyncDisposable {
  readonly seed: number;
  readonly random: Random;
  /** The harness' log, the daemon's logs and what a violation leaves behind. */
  readonly folder: string;
  readonly diary: Diary;
  readonly servers: Readonly<Record<SystemName, TestServer>>;
  readonly proxies: Readonly<Record<SystemName, TcpProxy>>;
  /** Null where a small disk cannot be mounted. */
  readonly disk: SmallDisk | null;
  /** The instance that runs now; losing the ledger begins another one. */
  carrick: Carrick;
  /** Another instance, with a ledger of its own, in place of the one that was. */
  newInstance(): Promise<Carrick>;
  /** Keeps the folder when everything is put away. */
  kept: boolean;
}

const DISK_MEGABYTES = 64;

export async function openWorld(seed: number): Promise<World> {
  await ensureServers();
  await using opened = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), `carrick-torture-${seed}-`));
  const [crm, erp] = await Promise.all([startSystem('crm'), startSystem('erp')]);
  const servers = { crm: opened.use(crm), erp: opened.use(erp) };
  const proxies = {
    crm: opened.use(await openProxy(await freePort(), crm.port)),
    erp: opened.use(await openProxy(await freePort(), erp.port)),
  };
  for (const system of SYSTEMS) {
    await using session = await openSession(servers[system].url);
    await createSchema(system, session);
  }
  const disk = mountSmallDisk(join(folder, 'ledger'), DISK_MEGABYTES);
  if (disk !== null) opened.use(disk);
  const diary = openDiary(join(folder, 'diary.jsonl'));
  const urls = { crm: through(crm, proxies.crm), erp: through(erp, proxies.erp) };
  const makeCarrick = async (): Promise<Carrick> => {
    const instance = `t${seed}_${randomBytes(3).toString('hex')}`;
    const ledger = join(disk?.folder ?? folder, `${instance}.db`);
    return openCarrick({ folder, ledger, instance, port: await freePort(), urls });
  };
  const world: World = {
    seed,
    random: seeded(seed, 'torture'),
    folder,
    diary,
    servers,
    proxies,
    disk,
    carrick: await makeCarrick(),
    async newInstance() {
      world.carrick = await makeCarrick();
      return world.carrick;
    },
    kept: false,
    async [Symbol.asyncDispose]() {
      await world.carrick[Symbol.asyncDispose]();
      await all.disposeAsync();
      if (!world.kept) rmSync(folder, { recursive: true, force: true });
    },
  };
  const all = opened.move();
  return world;
}

async function createSchema(system: SystemName, session: Session): Promise<void> {
  const file = `${system}-${session.product}.sql`;
  await session.run(readFileSync(join(import.meta.dirname, file), 'utf8'));
  await createAudit(system, session);
}

function through({ url }: TestServer, { port }: TcpProxy): string {
  const changed = new URL(url);
  changed.port = String(port);
  return changed.href;
}
