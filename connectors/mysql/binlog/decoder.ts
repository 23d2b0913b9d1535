/** What each event of the log means: the one place that knows their order. */
import { halt } from '../../../src/errors.ts';
import type { Cell, Value } from '../../../src/model/value.ts';
import type { Assembler } from './assembler.ts';
import type { Charsets } from './charset.ts';
import { u8, u64, utf8 } from './cursor.ts';
import { statementReader } from './definitions.ts';
import {
  type BinlogEvent,
  corrupt,
  EVENT,
  emptyEvent,
  HEADER_LENGTH,
  mayBeIgnored,
  readFormatDescription,
  readHeader,
  verifyChecksum,
} from './event.ts';
import { readGtidEvent } from './gtid-event.ts';
import { readPayload } from './payload.ts';
import { planBook } from './plans.ts';
import { readLoadQuery, readQuery } from './query.ts';
import { isRows, type RowOp, type RowVisitor, readRows } from './rows.ts';
import { tableIdOf } from './table-map.ts';
import type { Tables } from './tables.ts';
import type { Tracker } from './tracker.ts';

export interface DecoderOptions {
  readonly mariadb: boolean;
  /** Whether events end with a checksum until a format description says it. */
  readonly checksum: boolean;
  readonly tables: Tables;
  readonly charsets: Charsets;
  readonly tracker: Tracker;
  readonly assembler: Assembler;
  /** Resolves when batches may be handed over again; null while they may. */
  readonly room: () => Promise<void> | null;
}

/** A promise: the next event must wait for it. */
type Pending = Promise<void> | undefined;

export interface Decoder {
  /** Takes the event in `buf` from `start` to `end`; a RangeError says that it is damaged. */
  take(buf: Buffer, start: number, end: number): Pending;
}

const ARTIFICIAL_FLAG = 0x20;

export function decoder(options: DecoderOptions): Decoder {
  const { tracker } = options;
  const event = emptyEvent();
  const handle = eventHandler(options);
  let checksum = options.checksum;
  return {
    take: (buf, start, end) => {
      readHeader(event, buf, start, end);
      if (event.type === EVENT.FORMAT_DESCRIPTION) {
        checksum = readFormatDescription({ ...event.body }).checksum;
      }
      if (checksum) verifyChecksum(event, start);
      const inFile = event.nextPosition !== 0 && (event.flags & ARTIFICIAL_FLAG) === 0;
      if (inFile && event.type !== EVENT.HEARTBEAT && event.type !== EVENT.HEARTBEAT_V2) {
        tracker.advance(event.size, event.nextPosition);
      }
      return handle(event);
    },
  };
}

function eventHandler(options: DecoderOptions): (event: BinlogEvent) => Pending {
  const { mariadb, tables, tracker, assembler } = options;
  const plans = planBook(options);
  const statement = statementReader(tables, plans, assembler);
  const visitor = rowVisitor(assembler);

  const rows = (event: BinlogEvent): void => {
    const plan = plans.of(tableIdOf(event.body));
    if (assembler.open === null || plan === undefined) {
      throw corrupt('rows come without their transaction or table');
    }
    readRows(event, plan, visitor);
  };
  const begin = (event: BinlogEvent): void => {
    // A statement that stands alone is ended by the next transaction at the latest.
    assembler.commit();
    const gtid = readGtidEvent(event);
    assembler.begin(gtid, mariadb && !gtid.standalone);
  };
  const payload = (event: BinlogEvent): Pending => {
    const data = readPayload(event.body);
    const inner = emptyEvent();
    const from = (at: number): Pending => {
      for (let start = at; start < data.length; ) {
        const size = data.readUInt32LE(start + 9);
        if (size < HEADER_LENGTH) throw new RangeError('a compressed event has no length');
        const end = start + size;
        readHeader(inner, data, start, end);
        const pending = handle(inner) ?? options.room();
        if (pending) return pending.then(() => from(end));
        start = end;
      }
      return undefined;
    };
    return from(0);
  };
  const effects = new Map<number, (event: BinlogEvent) => unknown>([
    [EVENT.TABLE_MAP, plans.learn],
    [EVENT.MARIADB_GTID, begin],
    [EVENT.GTID, begin],
    [EVENT.ANONYMOUS_GTID, begin],
    [EVENT.GTID_TAGGED, begin],
    [EVENT.XID, () => assembler.commit()],
    [EVENT.QUERY, (event) => statement(readQuery(event))],
    [EVENT.QUERY_COMPRESSED, (event) => statement(readQuery(event))],
    [EVENT.EXECUTE_LOAD_QUERY, (event) => statement(readLoadQuery(event))],
    [EVENT.XA_PREPARE, (event) => xaPrepare(event, assembler)],
    [EVENT.TRANSACTION_PAYLOAD, payload],
    [EVENT.ROTATE, (event) => tracker.rotate(...readRotate(event))],
    [EVENT.FORMAT_DESCRIPTION, () => {}],
    [EVENT.HEARTBEAT, () => assembler.beat()],
    [EVENT.HEARTBEAT_V2, () => assembler.beat()],
    [EVENT.INCIDENT, incident],
  ]);
  const handle = (event: BinlogEvent): Pending => {
    if (isRows(event.type)) {
      rows(event);
      return undefined;
    }
    const effect = effects.get(event.type);
    if (effect !== undefined) {
      const outcome = effect(event);
      return outcome instanceof Promise ? outcome : undefined;
    }
    if (!mayBeIgnored(event.type, event.flags)) throw unknownEvent(event.type);
    return undefined;
  };
  return handle;
}

function rowVisitor(assembler: Assembler): RowVisitor {
  /** Invariant 5: the first row of a transaction tells whose writes follow. */
  const readMark = (op: RowOp, row: readonly Cell[]): void => {
    if (op === 'delete') return;
    const [instance, lane, batch] = row as readonly Value[];
    if (lane !== 'deliver' && lane !== 'watermark' && lane !== 'look') return;
    assembler.open!.mark = { instance: instance!, lane, batch: Number(batch) };
  };
  return {
    wants: ({ followed }) => {
      const open = assembler.open!;
      const index = open.rows++;
      if (followed === null) return false;
      return followed.mark ? index === 0 : index >= open.skip;
    },
    row: (plan, op, row, old, size) => {
      const { spec, mark } = plan.followed!;
      if (mark) readMark(op, row);
      else assembler.add({ table: spec, op, row, old }, size);
    },
  };
}

/** XA_PREPARE: whether it is COMMIT ONE PHASE; if not, the outcome comes any time later. */
function xaPrepare({ body }: BinlogEvent, assembler: Assembler): void {
  const { open } = assembler;
  const onePhase = u8(body) !== 0;
  if (!onePhase && open !== null && (open.changes.length > 0 || open.begun)) throw twoPhase();
  assembler.commit();
}

/** ROTATE: the offset in the next file, and its name. */
function readRotate({ body }: BinlogEvent): [file: string, offset: number] {
  const offset = u64(body);
  return [utf8(body, body.end - body.pos), offset];
}

const twoPhase = () =>
  halt(
    'source.unsupported',
    'A mapped table was changed in a two-phase XA transaction, whose outcome comes later',
    'Change mapped tables in ordinary transactions, or with XA COMMIT … ONE PHASE; ' +
      'then `carrick rejoin`.',
  );

function incident(): never {
  throw halt(
    'source.lost',
    'The server wrote to its log that events are missing from it',
    'What was lost cannot be read: stop Carrick, then `carrick rejoin` for this system.',
  );
}

const unknownEvent = (type: number) =>
  halt(
    'source.unsupported',
    `The log has an event of type ${type}, which is not known`,
    'Use a server version that Carrick supports.',
  );
