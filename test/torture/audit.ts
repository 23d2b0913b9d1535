/**
 * What really happened, told by the databases themselves: triggers note every change of every row
 * in the transaction that makes it, with what the row held before. So "what had its author seen?"
 * needs neither a clock nor Carrick, and a commit whose answer was lost is known all the same.
 */
import type { Session } from './session.ts';
import { type EntityName, plain, SHAPES, type SystemName, whoOf } from './shapes.ts';

/** A row in common words; `outside`: dead, or none of the mapping's business. */
export interface RowState {
  readonly key: string;
  readonly no: string;
  readonly fields: Readonly<Record<string, string | null>>;
  readonly outside: boolean;
}

export interface Change {
  readonly system: SystemName;
  readonly seq: number;
  /** The user's transaction; null: Carrick, or a trigger in its transaction. */
  readonly tx: string | null;
  readonly at: string;
  readonly entity: EntityName;
  /** The thing behind the row, whatever its keys are; of a line `order/number`. */
  readonly who: string;
  readonly before: RowState | null;
  readonly after: RowState | null;
}

const EVENTS = ['INSERT', 'UPDATE', 'DELETE'] as const;

/**
 * Every change of every row, whoever makes it, in the same transaction. `tx` is the user's
 * transaction; what Carrick writes has none.
 */
export const createAudit = (system: SystemName, session: Session): Promise<void> =>
  session.product === 'postgres' ? postgresAudit(system, session) : mysqlAudit(system, session);

async function postgresAudit(system: SystemName, { run }: Session): Promise<void> {
  await run(
    `create table audit (
       seq bigint generated always as identity primary key,
       tx text,
       entity text not null,
       at timestamptz not null default clock_timestamp(),
       before jsonb,
       after jsonb
     );
     create function audit() returns trigger language plpgsql as $$
     begin
       insert into audit (tx, entity, before, after) values (
         nullif(current_setting('torture.tx', true), ''), tg_argv[0],
         case when tg_op <> 'INSERT' then to_jsonb(old) end,
         case when tg_op <> 'DELETE' then to_jsonb(new) end
       );
       return null;
     end $$`,
  );
  for (const [entity, { table }] of Object.entries(SHAPES[system])) {
    await run(
      `create trigger audit after insert or update or delete on ${table}
       for each row execute function audit('${entity}')`,
    );
  }
}

/** These triggers need the columns by name. */
async function mysqlAudit(system: SystemName, { run }: Session): Promise<void> {
  await run(
    `CREATE TABLE audit (
       seq BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY,
       tx VARCHAR(40),
       entity VARCHAR(20) NOT NULL,
       at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
       \`before\` JSON,
       \`after\` JSON
     )`,
  );
  for (const [entity, { table }] of Object.entries(SHAPES[system])) {
    const { rows } = await run(
      `SELECT column_name AS c FROM information_schema.columns
       WHERE table_schema = DATABASE() AND table_name = ?`,
      table,
    );
    const image = (of: 'OLD' | 'NEW'): string =>
      `JSON_OBJECT(${rows.map(({ c }) => `'${c}', ${of}.${c}`).join(', ')})`;
    for (const event of EVENTS) {
      const before = event === 'INSERT' ? 'NULL' : image('OLD');
      const after = event === 'DELETE' ? 'NULL' : image('NEW');
      await run(
        `CREATE TRIGGER audit_${entity}_${event.toLowerCase()} AFTER ${event} ON ${table}
         FOR EACH ROW INSERT INTO audit (tx, entity, \`before\`, \`after\`)
         VALUES (@tx, '${entity}', ${before}, ${after})`,
      );
    }
  }
}

/** Everything that happened in one system, in order. */
export async function readAudit(system: SystemName, session: Session): Promise<Change[]> {
  const text = (column: string): string =>
    session.product === 'postgres' ? `${column}::text` : `CAST(\`${column}\` AS CHAR)`;
  const { rows } = await session.run(
    `SELECT seq, tx, entity, at, ${text('before')} AS b, ${text('after')} AS a
     FROM audit ORDER BY seq`,
  );
  const orders = new Map<string, string>();
  return rows.map(({ seq, tx = null, entity, at, b: old = null, a: now = null }) => {
    const name = entity as EntityName;
    const before = stateOf(system, name, old);
    const after = stateOf(system, name, now);
    const row = (after ?? before)!;
    if (name === 'order') orders.set(row.key, row.no);
    const order = orders.get(row.fields.order ?? '');
    const who = name === 'line' ? `${order}/${row.no}` : whoOf(row.no);
    return { system, seq: Number(seq), tx, at: at ?? '', entity: name, who, before, after };
  });
}

function stateOf(system: SystemName, entity: EntityName, json: string | null): RowState | null {
  if (json === null) return null;
  const cells = JSON.parse(json) as Record<string, unknown>;
  const { key, no, columns } = SHAPES[system][entity];
  const fields = Object.entries(columns).map(([field, column]) => [
    field,
    plain(system, field, cells[column]),
  ]);
  return {
    key: String(cells[key]),
    no: String(cells[no]),
    fields: Object.fromEntries(fields),
    outside:
      Boolean(cells.archived) ||
      Boolean(cells.is_vendor) ||
      cells.active === 0 ||
      cells.active === false,
  };
}
