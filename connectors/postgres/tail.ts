import type { ClientConfig, Pool } from 'pg';
import type { SourceStatus } from '../../src/contract/source.ts';
import { retry } from '../../src/errors.ts';
import type { SourceBatch, TableSpec } from '../../src/model/change.ts';
import { type Acknowledger, createAcknowledger } from './acknowledge.ts';
import { Assembler, type BatchLimits } from './assembler.ts';
import type { Types } from './catalog.ts';
import type { PostgresTable } from './describe.ts';
import { describeError } from './errors.ts';
import { createMonitor, type Monitor } from './monitor.ts';
import { Decoder, RELATION, readRelation, type Sink } from './pgoutput.ts';
import type { LogPosition } from './position.ts';
import { type LogConnection, openLog } from './replication.ts';
import { createSink, type WantedTables, wantedTables } from './sink.ts';
import {
  createStreams,
  NoRoom,
  type Scratch,
  type StreamedCommit,
  type Streams,
} from './streams.ts';

export interface TailOptions {
  readonly pool: Pool;
  readonly connection: ClientConfig;
  /** Of slot and publication. */
  readonly name: string;
  readonly tables: readonly TableSpec[];
  /** The tables as they were when the source was opened. */
  readonly declared: readonly PostgresTable[];
  readonly types: Types;
  readonly from: LogPosition;
  readonly limits: BatchLimits;
  readonly scratch: Scratch;
}

/** Full batches that wait before the socket is read no more. */
const QUEUE = 2;
/** How often the server hears from us and is asked; well below any sensible wal_sender_timeout. */
const BEAT_MS = 4000;
/** A server that is asked every beat and says nothing for so long is gone. */
const SILENCE_MS = 30_000;
/** Empty batches come no faster than this, unless the server waits for them. */
const IDLE_MS = 1000;

const NONE: readonly number[] = [];

/** One stream of the log from one position, over one connection. */
export class Tail {
  readonly #options: TailOptions;
  readonly #wanted: WantedTables;
  readonly #assembler: Assembler;
  readonly #monitor: Monitor;
  readonly #sink: Sink;
  readonly #decoder: Decoder;
  /** Null: the server keeps transactions until they are committed. */
  readonly #streams: Streams | null;
  readonly #acknowledger: Acknowledger;
  #log: LogConnection | null = null;
  #beating: NodeJS.Timeout | undefined;
  #failure: Error | null = null;
  #wake: () => void = () => {};
  #makeRoom: () => void = () => {};
  /** Copies of messages that wait until the types of a relation have been looked up. */
  #held: Buffer[] | null = null;
  #paused = false;
  #closed = false;
  /** A keepalive has come that the reader has not heard of. */
  #beat = false;
  #yieldedAt = 0;

  constructor(options: TailOptions) {
    const { from, types, declared } = options;
    this.#options = options;
    this.#wanted = wantedTables(options.tables, types);
    this.#assembler = new Assembler(from, options.limits);
    this.#monitor = createMonitor(options.pool, options.name);
    const parts = { assembler: this.#assembler, monitor: this.#monitor, wanted: this.#wanted };
    this.#sink = createSink({ ...parts, types, declared });
    this.#decoder = new Decoder(this.#sink);
    this.#streams = options.scratch.folder === null ? null : createStreams(options.scratch.folder);
    this.#acknowledger = createAcknowledger(from.finished, (lsn, ping) =>
      this.#log?.confirm(lsn, ping),
    );
  }

  async *batches(): AsyncGenerator<SourceBatch, void> {
    this.#open();
    this.#beating = setInterval(() => this.#onBeat(), BEAT_MS);
    try {
      for (;;) {
        const batch = this.#next();
        this.#resume();
        if (batch !== null) yield batch;
        else if (this.#closed) return;
        else if (this.#failure !== null) throw this.#failure;
        else await this.#news();
      }
    } finally {
      await this.close();
    }
  }

  settle(lsn: bigint): void {
    this.#acknowledger.settle(lsn);
  }

  status(): SourceStatus {
    return this.#monitor.status();
  }

  /**
   * Ends the iteration without an error, also one that waits for news. A reader that left between
   * two batches never runs the iteration's end: nothing may be left to that.
   */
  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#beating);
    this.#wake();
    this.#makeRoom();
    this.#streams?.close();
    this.#acknowledger.close();
    const log = this.#log;
    this.#log = null;
    await log?.close();
  }

  #open(): void {
    const { connection, name, from } = this.#options;
    this.#log = openLog({
      connection,
      slot: name,
      publication: name,
      from,
      streaming: this.#streams !== null,
      onStart: (timeline) => this.#assembler.continueOn(timeline),
      onMessage: (bytes, start, end) => this.#feed(bytes, start, end),
      onKeepalive: (lsn, reply) => this.#onKeepalive(lsn, reply),
      onBytes: () => this.#monitor.heard(),
      onEnd: (error) => this.#fail(error),
    });
    this.#monitor.poll();
  }

  #next(): SourceBatch | null {
    const batch = this.#assembler.take() ?? (this.#beat ? this.#heartbeat() : null);
    if (batch !== null) {
      this.#makeRoom();
      this.#beat = false;
      this.#yieldedAt = Date.now();
    }
    return batch;
  }

  #heartbeat(): SourceBatch {
    return { transactions: [], position: this.#assembler.position };
  }

  /** Resolves when something was read; a whole chunk of the socket is read before that. */
  #news(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #feed(bytes: Buffer, start: number, end: number): void {
    if (this.#failure !== null || this.#closed) return;
    if (this.#held !== null) {
      this.#held.push(Buffer.from(bytes.subarray(start, end)));
      return;
    }
    const streamed = this.#streamed(bytes, start, end);
    if (streamed === true) return;
    if (streamed !== false) {
      this.#hold(this.#replay(streamed), []);
      return;
    }
    const unknown = this.#unknownTypes(bytes, start);
    if (unknown.length > 0) {
      this.#hold(this.#options.types.load(unknown), [Buffer.from(bytes.subarray(start, end))]);
      return;
    }
    this.#decoder.decode(bytes, start, end);
    if (this.#assembler.waiting >= QUEUE) this.#pause();
    this.#wake();
  }

  #streamed(bytes: Buffer, start: number, end: number): StreamedCommit | boolean {
    try {
      return this.#streams?.take(bytes, start, end) ?? false;
    } catch (error) {
      if (!(error instanceof NoRoom)) throw error;
      // The next stream goes without, and the server keeps them.
      this.#options.scratch.folder = null;
      this.#fail(retry('source.unreachable', error.message, 'Nothing to do: the server keeps it.'));
      return true;
    }
  }

  #unknownTypes(bytes: Buffer, start: number): readonly number[] {
    return bytes[start] === RELATION ? this.#wanted.unknownTypes(readRelation(bytes, start)) : NONE;
  }

  /** A streamed transaction is committed: its messages come now, as fast as they are wanted. */
  async #replay({ spool, xid, commit, end, committedAt }: StreamedCommit): Promise<void> {
    try {
      this.#sink.begin(commit, committedAt, xid);
      for await (const piece of spool?.pieces() ?? []) {
        while (piece.next()) {
          const unknown = this.#unknownTypes(piece.bytes, piece.start);
          if (unknown.length > 0) await this.#options.types.load(unknown);
          this.#decoder.decode(piece.bytes, piece.start, piece.end);
        }
        while (this.#assembler.waiting >= QUEUE && !this.#closed) await this.#room();
        if (this.#closed || this.#failure !== null) return;
      }
      this.#sink.commit(end);
      this.#wake();
    } finally {
      spool?.close();
    }
  }

  /** Resolves when a batch was taken. */
  #room(): Promise<void> {
    this.#wake();
    return new Promise((resolve) => {
      this.#makeRoom = resolve;
    });
  }

  /** Keeps what comes until `work` is done; `first` is what has to wait for it. */
  #hold(work: Promise<void>, first: Buffer[]): void {
    this.#held = first;
    this.#pause();
    const release = (): void => {
      const messages = this.#held ?? [];
      this.#held = null;
      for (const held of messages) this.#feed(held, 0, held.length);
      this.#resume();
    };
    work.then(release).catch((error) => this.#fail(error));
  }

  #onKeepalive(lsn: bigint, reply: boolean): void {
    this.#monitor.received(lsn);
    // What is held lies before this keepalive and has not been read yet.
    if (this.#held === null) this.#assembler.reached(lsn);
    if (reply || Date.now() - this.#yieldedAt >= IDLE_MS) this.#beat = true;
    if (reply) this.#acknowledger.answer();
    this.#wake();
  }

  #onBeat(): void {
    // While paused the server's answers wait in the socket.
    if (this.#paused) this.#monitor.excuse();
    if (this.#monitor.silentFor() > SILENCE_MS) {
      const message = `no word from the server for ${SILENCE_MS / 1000} s`;
      this.#fail(retry('source.unreachable', message, 'Check server and network.'));
    }
    this.#acknowledger.repeat(true);
    this.#monitor.poll();
  }

  #pause(): void {
    this.#paused = true;
    this.#log?.pause();
  }

  #resume(): void {
    if (!this.#paused || this.#held !== null || this.#assembler.waiting >= QUEUE) return;
    this.#paused = false;
    this.#monitor.excuse();
    this.#log?.resume();
  }

  #fail(error: unknown): void {
    this.#makeRoom();
    this.#failure ??= describeError('source', error);
    this.#wake();
  }
}
