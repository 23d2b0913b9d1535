import { describe, expect, test } from 'vitest';
import { entityOf, lensOf, table } from './mapping-fixture.ts';

const MAPPING = `entity: customer
match: [[customer_no], [email]]
fields:
  customer_no:  {type: string, required: true}
  name:         string
  email:        {type: string, pii: true}
  tier:         {type: enum, values: [standard, gold, platinum]}
  credit_limit: decimal(12,2)
  street: string
  city: string
groups: {address: [street, city]}
systems:
  crm:
    table: public.accounts
    key: id
    fields:
      customer_no: account_no
      name:
        get: "first_name + ' ' + last_name"
        set: {first_name: "before(name, ' ')", last_name: "after(name, ' ')"}
      email: {column: email, clean: [trim, lower]}
      tier: {column: stage, values: {S: standard, G: gold, P: platinum}}
      credit_limit: {column: credit_limit, direction: in}
      street: street
      city: city
  erp:
    table: customers
    key: cust_id
    where: "is_vendor == false"
    fields:
      customer_no: cust_code
      name: display_name
      email: mail
      tier: {column: tier, values: {"1": standard, "2": gold, "3": platinum}}
      credit_limit: credit_limit
      street: addr_street
      city: addr_city
    delete: {soft: {active: false}}
    on_insert: {company: "07"}
conflicts:
  - {fields: [credit_limit], prefer: erp}
  - {fields: [tier], when: "erp.tier == 'platinum' && record.credit_limit > 100", take: erp}
  - {fields: [address], park: true}
  - last_writer
first_contact: {prefer: crm}
`;

const schemas = new Map([
  [
    'crm',
    [
      table('public.accounts', {
        id: 'uuid',
        account_no: 'string',
        first_name: 'string',
        last_name: 'string',
        email: 'string',
        stage: 'string',
        credit_limit: 'decimal numeric(14,4)',
        street: 'string',
        city: 'string',
      }),
    ],
  ],
  [
    'erp',
    [
      table('customers', {
        cust_id: 'integer',
        cust_code: 'string',
        display_name: 'string',
        mail: 'string',
        tier: 'integer',
        credit_limit: 'decimal decimal(12,2)',
        addr_street: 'string',
        addr_city: 'string',
        is_vendor: 'integer',
        active: 'integer',
        company: 'string',
      }),
    ],
  ],
]);

describe.each([
  ['with schemas', schemas],
  ['offline', undefined],
])('the mapping of the design, %s', (how, given) => {
  const customer = entityOf(MAPPING, given);
  const crm = lensOf(customer, 'crm');
  const erp = lensOf(customer, 'erp');
  const no = () => undefined;

  test('names every column once, keys first', () => {
    expect(crm.table).toEqual({
      name: 'public.accounts',
      key: ['id'],
      columns: 'id account_no first_name last_name email stage credit_limit street city'.split(' '),
    });
    expect(erp.table.columns.slice(-3)).toEqual(['is_vendor', 'active', 'company']);
    expect(crm.columnsOf).toEqual([[1], [2, 3], [4], [5], [], [7], [8]]);
    expect(crm.guards).toEqual([[1], [4]]);
    expect(erp.onInsert).toEqual([{ column: 10, value: '07' }]);
  });

  test('reads a row, and keeps what writing would not give back', () => {
    const row = ['u', 'A1', 'Ada', 'King Lovelace', ' Ada@X.org', 'G', '12.5000', 'S', 'C'];
    expect(crm.read(row, no)).toEqual({
      kind: 'row',
      values: ['A1', 'Ada King Lovelace', 'ada@x.org', 'gold', '12.50', 'S', 'C'],
      raw: { email: ' Ada@X.org' },
      writtenAt: null,
    });
    const odd = ['u', 'A1', 'Ada King', 'Lovelace', null, 'P', null, null, null];
    expect(crm.read(odd, no)).toMatchObject({
      values: ['A1', 'Ada King Lovelace', null, 'platinum', null, null, null],
      raw: { first_name: 'Ada King', last_name: 'Lovelace' },
    });
  });

  test('reads a partial image with what is held, and without', () => {
    const partial = ['u', undefined, 'Bea', undefined, undefined, undefined, undefined, 'T'];
    const held = (column: number) => (column === 3 ? 'Lovelace' : undefined);
    expect(crm.read(partial, held)).toMatchObject({
      values: [undefined, 'Bea Lovelace', undefined, undefined, undefined, 'T', undefined],
    });
    expect(crm.read(partial, no)).toMatchObject({
      values: [undefined, undefined, undefined, undefined, undefined, 'T', undefined],
    });
  });

  test('tells faults by field, without values', () => {
    const row = ['u', null, null, null, 'e', 'X', '1.005', 'S', 'C'];
    const sound = crm.read(row, no);
    expect(sound).toMatchObject({ values: [undefined, null, 'e', undefined, undefined, 'S', 'C'] });
    expect(crm.read(row, no)).toMatchObject({
      kind: 'invalid',
      faults: [
        { place: 'tier', message: 'a code that the mapping does not list' },
        { place: 'credit_limit', message: expect.stringMatching(/more fraction digits/) },
        { place: 'customer_no', message: 'is required' },
      ],
    });
  });

  test('knows rows that are none of ours, and rows that are gone', () => {
    const flag = (value: boolean) => (given === undefined ? String(value) : value ? '1' : '0');
    const row = (vendor: string | null | undefined, active: string) =>
      ['7', 'A1', 'Ada', null, '1', '1.00', null, null, vendor, active, '07'] as const;
    expect(erp.read(row(flag(true), flag(true)), no).kind).toBe('outside');
    expect(erp.read(row(null, flag(true)), no).kind).toBe('outside');
    expect(erp.read(row(flag(false), flag(false)), no).kind).toBe('deleted');
    expect(erp.read(row(flag(false), flag(true)), no)).toMatchObject({
      kind: 'row',
      raw: { is_vendor: flag(false) },
    });
    expect(erp.admits(row(flag(true), flag(true)))).toBe(false);
    expect(erp.admits(row(undefined, flag(true)))).toBe(true);
    const soft = { kind: 'soft', column: 9, value: flag(false), alive: flag(true) };
    expect(erp.deletion).toEqual(soft);
  });

  test('writes the columns of the fields it is given, and no others', () => {
    const cells = crm.write(['A1', 'Ada King Lovelace', undefined, 'gold', '1.00', null, 'C']);
    expect(cells).toEqual([
      undefined,
      'A1',
      'Ada',
      'King Lovelace',
      undefined,
      'G',
      undefined,
      null,
      'C',
    ]);
    expect(crm.write(['A1', null, null, null, null, null, null]).slice(2, 6)).toEqual([
      null,
      null,
      null,
      null,
    ]);
    expect(() => crm.write(['A1', null, null, 'brass', null, null, null])).toThrow(/^tier cannot/);
  });

  test(`settles by the chains that it declares (${how})`, () => {
    expect(customer.units.map(({ name, chain }) => [name, chain.map(({ kind }) => kind)])).toEqual([
      ['customer_no', ['last_writer']],
      ['name', ['last_writer']],
      ['email', ['last_writer']],
      ['tier', ['rule', 'last_writer']],
      ['credit_limit', ['prefer', 'last_writer']],
      ['address', ['park', 'last_writer']],
    ]);
    expect(customer.unitOf).toEqual([0, 1, 2, 3, 4, 5, 5]);
    expect(customer.firstContact).toEqual([{ kind: 'prefer', system: 'crm' }]);
    expect(customer.flood).toEqual({ share: 0.2, atLeast: 100, within: 600_000_000 });
    expect(customer.deleteConflict).toBe('update_wins');
    const [rule] = customer.units[3]!.chain;
    if (rule?.kind !== 'rule') throw new Error('no rule');
    const sides = (tier: string | null, limit: string | null) => ({
      record: [null, null, null, null, limit, null, null],
      systems: { crm: [], erp: [null, null, null, tier, null, null, null] },
    });
    expect(rule.when(sides('platinum', '100.01'))).toBe(true);
    expect(rule.when(sides('platinum', '100.00'))).toBe(false);
    expect(rule.when(sides('platinum', null))).toBe(false);
    expect(rule.when(sides(null, '1000.00'))).toBe(false);
  });
});
