import { inflateEvent } from './compressed.ts';
import { take, u8, u16, u32, utf8 } from './cursor.ts';
import { type BinlogEvent, EVENT } from './event.ts';
import { readStatement, type Statement } from './statement.ts';

/**
 * QUERY (MySQL source documentation, `Query_event`): thread 4, seconds 4, schema length 1, error 2,
 * length of the status variables 2, those, the schema and a zero byte, the statement.
 */
export function readQuery(event: BinlogEvent): Statement {
  const c = event.body;
  u32(c);
  u32(c);
  const schemaLength = u8(c);
  u16(c);
  const statusLength = u16(c);
  take(c, statusLength);
  const schema = utf8(c, schemaLength);
  take(c, 1);
  const sql =
    event.type === EVENT.QUERY_COMPRESSED
      ? inflateEvent(c).toString('utf8')
      : utf8(c, c.end - c.pos);
  return readStatement(sql, schema);
}

/** EXECUTE_LOAD_QUERY: a QUERY with 13 bytes more in front of the status variables. */
export function readLoadQuery(event: BinlogEvent): Statement {
  const c = event.body;
  take(c, 8);
  const schemaLength = u8(c);
  u16(c);
  const statusLength = u16(c);
  take(c, 13 + statusLength);
  const schema = utf8(c, schemaLength);
  take(c, 1);
  return readStatement(utf8(c, c.end - c.pos), schema);
}
