import type { Duplex } from 'node:stream';
import type { Client, ClientConfig } from 'pg';
import { LogicalReplicationService } from 'pg-logical-replication';
// Not exported by the package's index; the file is part of 2.5.0, which is pinned.
import { AbstractPlugin } from 'pg-logical-replication/dist/output-plugins/abstract.plugin.js';
import { retry } from '../../src/errors.ts';
import { continuedOn, readSlot } from './continuity.ts';
import { describeError } from './errors.ts';
import { formatLsn, parseLsn } from './lsn.ts';
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
  /** One pgoutput message; its bytes are used again after the return. */
  onMessage(message: Buffer): void;
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

export function openLog(options: LogOptions): LogConnection {
  // Acknowledging is ours alone: the package's timer confirms what was received, not what is
  // durable (invariant 1).
  const service = new LogicalReplicationService(options.connection, {
    acknowledge: { auto: false, timeoutSeconds: 0 },
  });
  let socket: Duplex | null = null;
  let ended = false;
  const end = (error: unknown): void => {
    if (ended) return;
    ended = true;
    options.onEnd(describeError('source', error));
  };
  const plugin = new LogPlugin({
    ...options,
    onSocket: (stream) => {
      socket = stream;
    },
    onFailure: end,
  });
  service.on('error', end);
  service.on('heartbeat', (lsn, _skewedTime, reply) => options.onKeepalive(parseLsn(lsn), reply));
  service
    .subscribe(plugin, options.slot, formatLsn(options.from.finished))
    .then(
      () => end(retry('source.unreachable', 'the server ended the stream', 'Nothing to do.')),
      end,
    );
  return {
    pause: () => void socket?.pause(),
    resume: () => void socket?.resume(),
    confirm(lsn, ping) {
      // The package adds one: unadjusted, a transaction that begins at `lsn` would be skipped.
      if (lsn > 0n) void service.acknowledge(formatLsn(lsn - 1n), ping);
    },
    async close() {
      ended = true;
      await service.destroy();
    },
  };
}

interface PluginOptions extends LogOptions {
  onSocket(stream: Duplex): void;
  onFailure(error: unknown): void;
}

class LogPlugin extends AbstractPlugin<PluginOptions> {
  get name(): string {
    return 'pgoutput';
  }

  async start(client: Client, slot: string): Promise<unknown> {
    const { from, publication, streaming, onStart, onSocket, onBytes } = this.options;
    onStart(await continuedOn(client, await readSlot(client, slot), from));
    const { stream } = client.connection;
    stream.on('data', onBytes);
    onSocket(stream);
    // Version 2 has streaming, 3 two-phase commits, which are read when they are decided, and 4
    // parallel streaming, whose abort times serve those who apply in parallel. Not streamed, a huge
    // transaction is spilled to the server's disk. The package's start quotes no publication.
    const version = streaming ? `proto_version '2', streaming 'on'` : `proto_version '1'`;
    const settings = `${version}, publication_names '"${publication}"', messages 'false'`;
    return client.query(
      `START_REPLICATION SLOT "${slot}" LOGICAL ${formatLsn(from.finished)} (${settings})`,
    );
  }

  /** Called in the socket's handler, where an exception would end the process. */
  parse(message: Buffer): null {
    try {
      this.options.onMessage(message);
    } catch (error) {
      this.options.onFailure(error);
    }
    return null;
  }
}
