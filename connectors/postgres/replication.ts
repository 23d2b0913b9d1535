import pg, { type Client, type ClientConfig, type Connection } from 'pg';
import { retry } from '../../src/errors.ts';
import { continuedOn, readSlot } from './continuity.ts';
import { type TakeBytes, takeCopyData } from './copy-data.ts';
import { describeError } from './errors.ts';
import { gatherBytes, unbuffered, type Valve } from './gather.ts';
import { formatLsn } from './lsn.ts';
import { EPOCH } from './pgoutput.ts';
import type { LogPosition } from './position.ts';

export interface LogOptions {
  readonly connection: ClientConfig;
  readonly slot: string;
  readonly publication: string;
  readonly from: LogPosition;
  /** The server may send transactions before they are committed. */
  readonly streaming: boolean;
  /** The server continues at the position, on this timeline. */
  onStart(timeline: number): void;
  /** One pgoutput message; whoever keeps it copies it, or keeps much more. */
  readonly onMessage: TakeBytes;
  /** Everything that commits before `lsn` was sent; `reply`: the server waits for an answer. */
  onKeepalive(lsn: bigint, reply: boolean): void;
  onBytes(): void;
  /** Once, unless {@link LogConnection.close} came first. */
  onEnd(error: Error): void;
}

/** One connection to the log; a new one for every stream, for a used one forgets nothing. */
export interface LogConnection {
  pause(): void;
  resume(): void;
  /** Tells the server that everything before `lsn` may go; `ping` asks for a keepalive. */
  confirm(lsn: bigint, ping: boolean): void;
  close(): Promise<void>;
}

/** What pg's connection has beside its types. */
type CopyConnection = Connection & { sendCopyFromChunk(chunk: Buffer): void };

export function openLog(options: LogOptions): LogConnection {
  const client = new pg.Client(unbuffered(options.connection));
  const connection = client.connection as CopyConnection;
  let valve: Valve | undefined;
  let ended = false;
  const end = (error: unknown): void => {
    if (ended) return;
    ended = true;
    options.onEnd(describeError('source', error));
  };
  client.on('error', end);
  connection.once('replicationStart', () => {
    valve = gatherBytes(connection.stream);
  });
  start(client, options, end).then(
    () => end(retry('source.unreachable', 'the server ended the stream', 'Nothing to do.')),
    end,
  );
  return {
    pause: () => valve?.close(),
    resume: () => valve?.open(),
    confirm(lsn, ping) {
      if (valve !== undefined && lsn > 0n) connection.sendCopyFromChunk(statusUpdate(lsn, ping));
    },
    async close() {
      ended = true;
      valve?.end();
      valve = undefined;
      await client.end();
    },
  };
}

/** Resolves when the server ends the stream. */
async function start(
  client: Client,
  options: LogOptions,
  fail: (error: unknown) => void,
): Promise<void> {
  const { from, slot, publication, streaming, onStart, onBytes } = options;
  await client.connect();
  onStart(await continuedOn(client, await readSlot(client, slot), from));
  const { stream } = client.connection;
  takeCopyData(stream, guarded(reader(options), fail));
  stream.on('data', onBytes);
  // Version 2 has streaming, 3 two-phase commits, which are read when they are decided, and 4
  // parallel streaming, whose abort times serve those who apply in parallel. Not streamed, a huge
  // transaction is spilled to the server's disk.
  const version = streaming ? `proto_version '2', streaming 'on'` : `proto_version '1'`;
  const settings = `${version}, publication_names '"${publication}"', messages 'false'`;
  await client.query(
    `START_REPLICATION SLOT "${slot}" LOGICAL ${formatLsn(from.finished)} (${settings})`,
  );
}

/** In the socket's handler an exception would end the process. */
function guarded(take: TakeBytes, fail: (error: unknown) => void): TakeBytes {
  return (bytes, start, end) => {
    try {
      take(bytes, start, end);
    } catch (error) {
      fail(error);
    }
  };
}

/** PostgreSQL manual, "Streaming Replication Protocol". */
const LOG_DATA = 0x77;
const KEEPALIVE = 0x6b;
const STATUS_UPDATE = 0x72;
/** Type, LSN of the message, LSN of the log's end, time. */
const LOG_HEADER = 25;

function reader({ onMessage, onKeepalive }: LogOptions): TakeBytes {
  return (bytes, start, end) => {
    if (bytes[start] === LOG_DATA) onMessage(bytes, start + LOG_HEADER, end);
    else if (bytes[start] === KEEPALIVE) {
      onKeepalive(bytes.readBigUInt64BE(start + 1), bytes[start + 17] === 1);
    } else throw new Error(`unknown message ${bytes[start]} in the log's stream`);
  };
}

/** Written, flushed and applied are one to us: settled. */
function statusUpdate(lsn: bigint, ping: boolean): Buffer {
  const update = Buffer.alloc(34);
  update[0] = STATUS_UPDATE;
  for (const at of [1, 9, 17]) update.writeBigUInt64BE(lsn, at);
  update.writeBigInt64BE(BigInt(Date.now() * 1000 - EPOCH), 25);
  update[33] = ping ? 1 : 0;
  return update;
}
