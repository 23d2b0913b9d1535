/** pg-logical-replication as it comes, with nothing acknowledged: the cheapest way to use it. */
import { LogicalReplicationService, PgoutputPlugin } from 'pg-logical-replication';
import { readJob, startReading } from './job.ts';

const { url, name, rows } = readJob();
const done = startReading();
const service = new LogicalReplicationService(
  { connectionString: url },
  { acknowledge: { auto: false, timeoutSeconds: 0 } },
);
let read = 0;
service.on('data', (_lsn, message) => {
  if (message.tag !== 'insert' && message.tag !== 'update') return;
  read++;
  if (read === rows) done();
});
await service.subscribe(new PgoutputPlugin({ protoVersion: 1, publicationNames: [name] }), name);
