/**
 * The log's messages as the server sends them, counted and thrown away: what a reader in this
 * runtime could reach on this machine if it had nothing to do.
 */
import { INSERT, UPDATE } from '../../connectors/postgres/pgoutput.ts';
import { parsePosition } from '../../connectors/postgres/position.ts';
import { openLog } from '../../connectors/postgres/replication.ts';
import type { Position } from '../../src/model/position.ts';
import { readJob, startReading } from './job.ts';

const { url, name, position, rows } = readJob();
const done = startReading();
const connection = { connectionString: url, replication: 'database' };
let read = 0;
openLog({
  ...{ connection, slot: name, publication: name, from: parsePosition(position as Position) },
  // The fastest way to get a large transaction: the server need not spill it.
  streaming: true,
  onMessage(bytes, start) {
    if (bytes[start] !== INSERT && bytes[start] !== UPDATE) return;
    read += 1;
    if (read === rows) done();
  },
  onStart: () => undefined,
  onKeepalive: () => undefined,
  onBytes: () => undefined,
  onEnd(error) {
    throw error;
  },
});
