/** How each system lays out the four things, and what its columns say in common words. */

export type SystemName = 'crm' | 'erp';
export type EntityName = 'customer' | 'product' | 'order' | 'line';

export const SYSTEMS: readonly SystemName[] = ['crm', 'erp'];
export const otherThan = (system: SystemName): SystemName => (system === 'crm' ? 'erp' : 'crm');

export interface Shape {
  readonly table: string;
  /** The surrogate key. */
  readonly key: string;
  /** The number that people know the thing by; of a line, its number within the order. */
  readonly no: string;
  readonly columns: Readonly<Record<string, string>>;
  /** Rows that are none of the mapping's business, or dead. */
  readonly outside: string;
}

export const SHAPES: Readonly<Record<SystemName, Readonly<Record<EntityName, Shape>>>> = {
  crm: {
    customer: {
      table: 'accounts',
      key: 'id',
      no: 'account_no',
      columns: {
        name: 'last_name',
        phone: 'phone',
        tier: 'stage',
        credit: 'credit',
        points: 'points',
        note: 'note',
        street: 'street',
        city: 'city',
      },
      outside: 'false',
    },
    product: {
      table: 'catalogue',
      key: 'id',
      no: 'sku',
      columns: { title: 'title', price: 'price', stock: 'stock' },
      outside: 'archived',
    },
    order: {
      table: 'orders',
      key: 'id',
      no: 'order_no',
      columns: { customer: 'account_id', status: 'status', remark: 'note', total: 'amount' },
      outside: 'false',
    },
    line: {
      table: 'order_items',
      key: 'id',
      no: 'line_no',
      columns: { order: 'order_id', product: 'product_id', quantity: 'quantity', each: 'price' },
      outside: 'false',
    },
  },
  erp: {
    customer: {
      table: 'customers',
      key: 'cust_id',
      no: 'cust_code',
      columns: {
        name: 'display_name',
        phone: 'telephone',
        tier: 'tier',
        credit: 'credit',
        points: 'points',
        note: 'note',
        street: 'addr_street',
        city: 'addr_city',
      },
      outside: '(is_vendor OR NOT active)',
    },
    product: {
      table: 'items',
      key: 'item_id',
      no: 'item_no',
      columns: { title: 'description', price: 'list_price', stock: 'on_hand' },
      outside: 'false',
    },
    order: {
      table: 'sales_orders',
      key: 'order_id',
      no: 'order_no',
      columns: { customer: 'cust_id', status: 'state', remark: 'remark', total: 'net_total' },
      outside: 'false',
    },
    line: {
      table: 'sales_order_lines',
      key: 'order_id',
      no: 'pos',
      columns: { order: 'order_id', product: 'item_id', quantity: 'qty', each: 'price' },
      outside: 'false',
    },
  },
};

const TIERS = ['standard', 'gold', 'platinum'];
const STATES = ['draft', 'confirmed', 'shipped'];
const CODES: Readonly<Record<SystemName, Readonly<Record<string, readonly string[]>>>> = {
  crm: { tier: ['S', 'G', 'P'], status: STATES },
  erp: { tier: ['1', '2', '3'], status: ['10', '20', '30'] },
};
const WORDS: Readonly<Record<string, readonly string[]>> = { tier: TIERS, status: STATES };

/** A value in the spelling of a column. */
export function spelled(system: SystemName, field: string, value: string): string {
  if (field === 'name' && system === 'erp') return `Eva ${value}`;
  const at = WORDS[field]?.indexOf(value) ?? -1;
  return at < 0 ? value : (CODES[system][field]?.[at] ?? value);
}

/**
 * What a column says, in one spelling for both systems. The ERP keeps a credit to one decimal and
 * the CRM a price: what differs behind it is one value.
 */
export function plain(system: SystemName, field: string, cell: unknown): string | null {
  if (cell === null || cell === undefined) return null;
  const text = String(cell).trim();
  if (field === 'name') return text.replace(/^Eva /, '');
  if (field === 'credit' || field === 'price') return String(Math.round(Number(text) * 10) / 10);
  if (field === 'total' || field === 'quantity' || field === 'each') return Number(text).toFixed(2);
  const at = CODES[system][field]?.indexOf(text) ?? -1;
  return at < 0 ? text : (WORDS[field]?.[at] ?? text);
}

/** Fields of which no two writes make the same value: a value tells who wrote it. */
export const FOLLOWED: Readonly<Record<EntityName, readonly string[]>> = {
  customer: ['name', 'phone', 'credit', 'note', 'street', 'city'],
  product: ['title', 'price'],
  order: ['remark'],
  line: [],
};

/** Fields to which people add: each addition counts once. */
export const SUMMED: Readonly<Partial<Record<EntityName, string>>> = {
  customer: 'points',
  product: 'stock',
};

/** The thing behind a number: people renumber `L-1` to `L-1~2`. */
export const whoOf = (no: string): string => no.split('~')[0] ?? no;
