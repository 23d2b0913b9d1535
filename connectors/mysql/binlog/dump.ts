/**
 * Asks for the log and hands over raw events. mysql2's own binlog stream drops events it does not
 * know and has no backpressure, so this is a command of ours in its queue; `addCommand` and the
 * packet's fields are internal to it (pinned version, contract test in
 * test/integration/mysql-source-driver.test.ts).
 */
import type { EventEmitter } from 'node:events';

/** What of a mysql2 connection is used beyond its typed interface. */
export interface RawConnection extends EventEmitter {
  sequenceId: number;
  addCommand(command: RawCommand): unknown;
  write(data: Buffer): void;
  pause(): void;
  resume(): void;
  destroy(): void;
  readonly stream: { destroy(): void };
}

/** `execute` is called without a packet at first, then with each; true ends the command. */
interface RawCommand {
  execute(packet: RawPacket | undefined, connection: RawConnection): boolean;
  onResult(error: Error | null): void;
}

interface RawPacket {
  readonly buffer: Buffer;
  /** Where the four bytes of the packet's header begin. */
  readonly start: number;
  readonly end: number;
}

const COM_BINLOG_DUMP = 0x12;
const COM_BINLOG_DUMP_GTID = 0x1e;
const ERR = 0xff;
const EOF = 0xfe;
const PACKET_HEADER = 4;

/** COM_BINLOG_DUMP: position 4, flags 2, server id 4, file name. */
export function dumpFile(serverId: number, file: string, offset: number): Buffer {
  const name = Buffer.from(file);
  const body = Buffer.alloc(11 + name.length);
  body[0] = COM_BINLOG_DUMP;
  body.writeUInt32LE(offset, 1);
  body.writeUInt32LE(serverId, 7);
  name.copy(body, 11);
  return body;
}

/** COM_BINLOG_DUMP_GTID: flags 2, server id 4, no file name, position 8, the executed set. */
export function dumpGtid(serverId: number, executed: Buffer): Buffer {
  const body = Buffer.alloc(23 + executed.length);
  body[0] = COM_BINLOG_DUMP_GTID;
  body.writeUInt32LE(serverId, 3);
  body.writeUInt32LE(0, 7);
  body.writeBigUInt64LE(4n, 11);
  body.writeUInt32LE(executed.length, 19);
  executed.copy(body, 23);
  return body;
}

export interface DumpHandlers {
  /** An event, without the packet around it. */
  event(buf: Buffer, start: number, end: number): void;
  /** The server refused or ended the dump. */
  refused(errno: number, message: string): void;
  ended(): void;
  /** The connection broke. */
  failed(error: Error): void;
}

/** Sends `request` and hands over what comes until the connection ends. */
export function startDump(connection: RawConnection, request: Buffer, on: DumpHandlers): void {
  let sent = false;
  connection.addCommand({
    execute: (packet) => {
      if (!sent) {
        sent = true;
        const header = Buffer.alloc(PACKET_HEADER);
        header.writeUIntLE(request.length, 0, 3);
        connection.write(Buffer.concat([header, request]));
        connection.sequenceId = 1;
      }
      if (packet === undefined) return false;
      const { buffer, end } = packet;
      const start = packet.start + PACKET_HEADER;
      const first = buffer[start];
      if (first === ERR) {
        const state = buffer[start + 3] === 0x23 ? 6 : 0;
        on.refused(buffer.readUInt16LE(start + 1), buffer.utf8Slice(start + 3 + state, end));
      } else if (first === EOF && end - start < 9) on.ended();
      else on.event(buffer, start + 1, end);
      return false;
    },
    onResult: (error) => {
      if (error !== null) on.failed(error);
    },
  });
}
