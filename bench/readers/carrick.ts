/** Our connector's source: changes with canonical values, settled batch by batch. */
import { tmpdir } from 'node:os';
import { connectors } from '../../connectors/registry.ts';
import type { TableSpec } from '../../src/model/change.ts';
import type { Position } from '../../src/model/position.ts';
import { COLUMNS } from '../account.ts';
import { readJob, startReading } from './job.ts';

const { url, name, position, rows } = readJob();
const load = connectors[url.startsWith('postgres') ? 'postgres' : 'mysql']!;
const connector = await load();
const parsed = connector.parse({ url });
if (!parsed.ok) throw new Error('the connector refuses its URL');
const instance = name.replace('carrick_', '');
const tables: TableSpec[] = [{ name: 'accounts', key: ['id'], columns: COLUMNS }];

const done = startReading();
// As the daemon has one: PostgreSQL may then send a large transaction while it decodes it.
const scratch = tmpdir();
const system = connector.connect(parsed.options, { system: 'crm', instance, scratch });
const source = await system.source(tables);
let read = 0;
for await (const batch of source.tail(position as Position)) {
  for (const { changes } of batch.transactions) read += changes.length;
  source.settle(batch.position);
  if (read >= rows) done();
}
