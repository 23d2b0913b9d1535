import { readMapping } from '../../src/config/read-mapping.ts';
import type { Entity } from '../../src/contract/entity.ts';
import type { TableSchema } from '../../src/model/change.ts';
import type { ColumnKind, Value } from '../../src/model/value.ts';
import { compileEntities } from '../../src/normalize/compile.ts';
import { customerMapping, orderMapping } from './mapping-texts.ts';
import type { Setup } from './setup.ts';
import type { TableDef } from './system.ts';

interface Shape {
  readonly table: string;
  readonly entity: 'customer' | 'order';
  readonly key: readonly string[];
  readonly generated: boolean;
  /** Column by field. */
  readonly columns: Readonly<Record<string, string>>;
  readonly others: Readonly<Record<string, { kind: ColumnKind; content: Value }>>;
}

const KINDS: Readonly<Record<string, ColumnKind>> = {
  credit: 'decimal',
  amount: 'decimal',
  points: 'integer',
  qty: 'integer',
  tags: 'set',
};

const UNMAPPED = { internal: { kind: 'string', content: null } } as const;

export const SHAPES: Readonly<Record<string, readonly Shape[]>> = {
  crm: [
    {
      table: 'public.accounts',
      entity: 'customer',
      key: ['id'],
      generated: true,
      columns: {
        customer_no: 'account_no',
        name: 'name',
        email: 'email',
        tier: 'stage',
        credit: 'credit',
        points: 'points',
        tags: 'tags',
        street: 'street',
        city: 'city',
        note: 'note',
      },
      others: { id: { kind: 'integer', content: null }, ...UNMAPPED },
    },
    {
      table: 'public.orders',
      entity: 'order',
      key: ['id'],
      generated: true,
      columns: {
        order_no: 'order_no',
        customer: 'account_id',
        status: 'status',
        amount: 'amount',
        qty: 'qty',
      },
      others: { id: { kind: 'integer', content: null }, ...UNMAPPED },
    },
  ],
  erp: [
    {
      table: 'customers',
      entity: 'customer',
      key: ['cust_no'],
      generated: false,
      columns: {
        customer_no: 'cust_no',
        name: 'display_name',
        email: 'mail',
        tier: 'tier',
        credit: 'credit',
        points: 'points',
        tags: 'labels',
        street: 'addr_street',
        city: 'addr_city',
        note: 'note',
      },
      others: {
        is_vendor: { kind: 'boolean', content: 'false' },
        active: { kind: 'boolean', content: 'true' },
        ...UNMAPPED,
      },
    },
    {
      table: 'sales_orders',
      entity: 'order',
      key: ['order_id'],
      generated: true,
      columns: {
        order_no: 'order_no',
        customer: 'cust_no',
        status: 'state',
        amount: 'net',
        qty: 'qty',
      },
      others: { order_id: { kind: 'integer', content: null }, ...UNMAPPED },
    },
  ],
  web: [
    {
      table: 'shop.users',
      entity: 'customer',
      key: ['region', 'no'],
      generated: false,
      columns: {
        customer_no: 'no',
        name: 'name',
        email: 'email',
        points: 'points',
        tags: 'tags',
        note: 'note',
      },
      others: { region: { kind: 'string', content: 'eu' }, ...UNMAPPED },
    },
    {
      table: 'shop.orders',
      entity: 'order',
      key: ['uid'],
      generated: true,
      columns: { order_no: 'order_no', status: 'status', amount: 'amount' },
      others: { uid: { kind: 'string', content: null }, ...UNMAPPED },
    },
  ],
};

export const shapeOf = (system: string, entity: Shape['entity']): Shape => {
  const found = SHAPES[system]?.find((shape) => shape.entity === entity);
  if (found === undefined) throw new Error(`no ${entity} in ${system}`);
  return found;
};

/** Fields that users give values that nobody else ever gives them. */
export const FOLLOWED: ReadonlySet<string> = new Set([
  'name',
  'email',
  'street',
  'city',
  'note',
  'status',
  'amount',
]);

export function entitiesOf(setup: Setup): readonly Entity[] {
  const mappings = [customerMapping(setup), orderMapping(setup)].map((text, i) => {
    const read = readMapping(`mapping-${i}.yaml`, text);
    if (!read.ok) throw new Error(JSON.stringify(read.problems));
    return read.value;
  });
  const schemas = new Map(setup.systems.map((system) => [system, schemasOf(system)]));
  const compiled = compileEntities(mappings, (_, names) => names, schemas);
  if (!compiled.ok) throw new Error(JSON.stringify(compiled.problems));
  return compiled.value;
}

function schemasOf(system: string): TableSchema[] {
  return (SHAPES[system] ?? []).map(({ table, key, columns, others, generated }) => {
    const column = (name: string, kind: ColumnKind) => ({
      name,
      kind,
      nativeType: kind === 'decimal' ? 'decimal(12,2)' : kind,
      nullable: true,
      hasDefault: generated && key.includes(name),
      readOnly: false,
    });
    const mapped = Object.entries(columns).map(([field, name]) =>
      column(
        name,
        KINDS[field] ?? (field === 'customer' && system === 'crm' ? 'integer' : 'string'),
      ),
    );
    const rest = Object.entries(others).map(([name, { kind }]) => column(name, kind));
    return { name: table, primaryKey: key, columns: [...mapped, ...rest] };
  });
}

export function tablesOf(system: string, setup: Setup): TableDef[] {
  return (SHAPES[system] ?? []).map(({ table, entity, key, columns, others, generated }) => {
    const number = columns[entity === 'customer' ? 'customer_no' : 'order_no'] ?? '';
    const fieldOf = new Map(Object.entries(columns).map(([field, column]) => [column, field]));
    return {
      name: table,
      key,
      generated,
      unique: [
        ...(key.includes(number) || setup.loose?.includes(system) ? [] : [[number]]),
        ...(entity === 'customer' && setup.unique?.includes(system) ? [['credit']] : []),
      ],
      columns: Object.fromEntries([
        ...Object.values(columns).map((column): [string, Value] => [column, null]),
        ...Object.entries(others).map(([column, { content }]): [string, Value] => [
          column,
          content,
        ]),
      ]),
      references: referenceOf(system, entity, setup),
      trigger: (before, row) => runTriggers(system, entity, columns, setup, before, row),
      follow(column) {
        const field = fieldOf.get(column);
        if (field === undefined || !FOLLOWED.has(field)) return null;
        return { field: `${entity}.${field}`, read: (cell) => canonical(field, cell) };
      },
      hidden: (row) => row.is_vendor === 'true' || (setup.softDelete && row.active === 'false'),
      who: (row) => (row[number] ?? '').replace(/~.*/, ''),
    };
  });
}

function referenceOf(
  system: string,
  entity: Shape['entity'],
  { foreign }: Setup,
): TableDef['references'] {
  const onDelete = foreign?.[system];
  const column = shapeOf(system, entity).columns.customer;
  if (onDelete === undefined || entity !== 'order' || column === undefined) return null;
  return { column, table: shapeOf(system, 'customer').table, onDelete };
}

const canonical = (field: string, cell: Value): Value =>
  field === 'email' && cell !== null ? cell.trim().toLowerCase() : cell;

/** What each system makes of rows before it stores them. */
function runTriggers(
  system: string,
  entity: Shape['entity'],
  columns: Shape['columns'],
  { triggers }: Setup,
  before: Readonly<Record<string, Value>> | null,
  row: Record<string, Value>,
): void {
  const changed = (field: string): boolean => {
    const column = columns[field] ?? '';
    return (row[column] ?? null) !== (before?.[column] ?? null) && (row[column] ?? null) !== null;
  };
  const set = (field: string, value: Value): void => {
    const column = columns[field];
    if (column !== undefined) row[column] = value;
  };
  const get = (field: string): string => row[columns[field] ?? ''] ?? '';
  if (entity === 'order') {
    if (system === 'erp' && triggers.includes('round') && changed('amount')) {
      set('amount', `${Number(get('amount')).toFixed(1)}0`);
    }
    return;
  }
  if (system === 'erp' && triggers.includes('upper') && changed('name')) {
    set('name', get('name').toUpperCase());
  }
  if (system === 'crm' && triggers.includes('fill') && changed('name'))
    set('note', `crm:${get('name')}`);
  if (!triggers.includes('fight')) return;
  if (system === 'crm' && changed('note')) set('city', `${get('note')}c`);
  if (system === 'erp' && changed('city')) set('note', `${get('city')}e`);
}
