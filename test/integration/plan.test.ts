/** What `carrick plan` foretells is what a first load then does, row for row. */
import { expect, test } from 'vitest';
import type { EntityPlan } from '../../src/contract/first-contact.ts';
import { openInstallation, type Servers, serversOfFile, until } from './installation.ts';

const servers = serversOfFile();

const CUSTOMER = `
entity: customer
match: [[no], [email]]
fields:
  no: string(20)
  email: {type: string, pii: true}
  name: {type: string(40), required: true}
  city: string
  credit: "decimal(12,2)"
  active: boolean
systems:
  crm:
    table: public.accounts
    key: id
    where: "kind == 'C'"
    fields: {no: no, email: email, name: name, city: city, credit: credit, active: active}
    on_insert: {kind: C}
  erp:
    table: customers
    key: id
    fields:
      no: no
      email: {column: email, clean: [trim, lower]}
      name: name
      city: city
      credit: credit
      active: {column: active, values: {"1": true, "0": false}}
first_contact:
  - {when: "erp.city == 'Elsewhere'", take: crm}
  - {prefer: erp}
`;

/** Without a rule that decides: what differs waits for a person. */
const INVOICE = `
entity: invoice
match: [[no]]
fields: {no: {type: string, required: true}, customer: {ref: customer}, total: "decimal(12,2)"}
systems:
  crm: {table: public.bills, key: id, fields: {no: no, customer: account, total: total}}
  erp: {table: invoices, key: id, fields: {no: no, customer: customer, total: total}}
first_contact: park
`;

const ROWS = 3000;

async function fill({ crm, erp }: Pick<Servers, 'crm' | 'erp'>): Promise<void> {
  await crm(`create table accounts (id bigint generated always as identity primary key,
    kind char(1) not null, no varchar(20), email text, name text, city text,
    credit numeric(12,2), active boolean)`);
  await crm(`create table bills (id bigint generated always as identity primary key, no text,
    account bigint, total numeric(12,2))`);
  await erp(`create table customers (id int auto_increment primary key, no varchar(20),
    email varchar(80), name varchar(30), city varchar(40), credit decimal(12,2), active tinyint)`);
  await erp(`create table invoices (id int auto_increment primary key, no varchar(20),
    customer int, total decimal(12,2))`);
  // 1 to 3000 in the CRM, 2001 to 5000 in the ERP; some of them only share their mail address.
  await crm(`insert into accounts (kind, no, email, name, city, credit, active)
    select case when n % 500 = 0 then 'V' else 'C' end,
      case when n % 97 = 0 then null else 'C' || n end, 'a' || n || '@x.example',
      case when n % 301 = 0 then null else 'Name ' || n end,
      case when n % 3 = 0 then null else 'City ' || n % 7 end, n, n % 2 = 0
    from generate_series(1, ${ROWS}) n`);
  await erp(`insert into customers (no, email, name, city, credit, active)
    select case when seq % 89 = 0 then null else concat('C', seq) end,
      concat(' A', seq, '@x.example'), concat('Name ', seq),
      case when seq % 5 = 0 then null when seq % 11 = 0 then 'Elsewhere'
        else concat('City ', seq % 7) end,
      seq + (seq % 13 = 0), case when seq % 1000 = 7 then 9 else seq % 2 = 0 end
    from seq_2001_to_${ROWS + 2000}`);
  // Two with one number: the second is a duplicate.
  await erp(`insert into customers (no, email, name) values ('C2500', 'other@x.example', 'Twin')`);
  await crm(`insert into bills (no, account, total)
    select 'B' || id, case when id % 40 = 0 then 999999 else id end, id from accounts
    where id % 4 = 0`);
  await erp(`insert into invoices (no, customer, total)
    select concat('B', substr(no, 2)), id, substr(no, 2) + (id % 50 = 6) from customers
    where no is not null and substr(no, 2) % 8 = 0 and no <> 'C2500'`);
}

const written = (plans: readonly EntityPlan[]): Record<string, number> => {
  const found: Record<string, number> = {};
  for (const { entity, writes } of plans) {
    for (const { system, inserts, updates, deletes } of writes) {
      for (const [op, n] of Object.entries({ insert: inserts, update: updates, delete: deletes })) {
        if (n > 0) found[`system="${system}",entity="${entity}",operation="${op}"`] = n;
      }
    }
  }
  return found;
};

const parked = (plans: readonly EntityPlan[]): Record<string, number> => {
  const found: Record<string, number> = {};
  const add = (reason: string, rows: number) => {
    if (rows > 0) found[reason] = (found[reason] ?? 0) + rows;
  };
  for (const { systems, writes } of plans) {
    for (const one of systems.flatMap((s) => s.parked)) add(one.reason, one.rows);
    for (const { unwritable } of writes) add('refused', unwritable);
    // The target says so again and again, until it is given up.
    for (const { blocked } of writes) add('drifted', blocked);
  }
  return found;
};

/** Deliveries whose parent gets no row stay in the outbox. */
const waiting = (plans: readonly EntityPlan[], of: string): number =>
  plans
    .flatMap(({ writes }) => writes)
    .reduce((sum, { system, waiting: n }) => sum + (system === of ? n : 0), 0);

test('the deed is as planned, and the plan writes nothing', { timeout: 240_000 }, async () => {
  await fill(servers);
  const { crm, erp, urls } = servers;
  await crm(`create role reader login password 'r'; grant select on accounts, bills to reader`);
  await erp(`create user reader identified by 'r'`);
  await erp('grant select on customers to reader');
  await erp('grant select on invoices to reader');
  const as = (url: string): string =>
    Object.assign(new URL(url), { username: 'reader', password: 'r' }).href;
  const planned = await (async () => {
    // A role that may read and do nothing else; nothing was set up.
    await using it = await openInstallation({
      ...servers,
      urls: { crm: as(urls.crm), erp: as(urls.erp) },
    });
    await it.map('customer', CUSTOMER);
    await it.map('invoice', INVOICE);
    const { code, out, err } = await it.cli('plan', '--json', '--sample', '2');
    expect([code, err.replace(/^.* rows read\n?/gm, '')]).toEqual([1, '']);
    expect(await it.files()).toEqual([]);
    const only = await it.cli('plan', 'invoice', '--json');
    expect(JSON.parse(only.out).map(({ entity }: EntityPlan) => entity)).toEqual(['invoice']);
    const shown = await it.cli('plan', 'customer');
    expect(shown.out).toContain('by email');
    expect(JSON.parse(only.out)[0].writes).toEqual(JSON.parse(out)[1].writes);
    expect(out + shown.out).not.toContain('@x.example');
    return JSON.parse(out) as EntityPlan[];
  })();
  expect(planned.map(({ entity }) => entity)).toEqual(['customer', 'invoice']);
  const [customer, invoice] = planned;
  expect(customer?.matched.every(({ records }) => records > 0)).toBe(true);
  const credit = customer?.fields.find(({ name }) => name === 'credit');
  // The rule asks for the city whatever the field.
  const { crm: kept = 0, erp: taken = 0 } = credit?.winners ?? {};
  expect([kept > 0, taken > 0, kept + taken]).toEqual([true, true, credit?.differ]);
  const total = invoice?.fields.find(({ name }) => name === 'total');
  expect(total?.winners).toEqual({ person: total?.differ });
  expect(waiting(planned, 'crm')).toBeGreaterThan(0);
  expect(Object.keys(parked(planned)).sort()).toEqual([
    'drifted',
    'duplicate',
    'invalid',
    'waiting',
  ]);

  await using it = await openInstallation(servers);
  await it.map('customer', CUSTOMER);
  await it.map('invoice', INVOICE);
  await it.setup();
  await it.start();
  await until(async () => {
    const { systems } = await it.operator.status();
    return systems.every(({ system, outboxDepth, snapshots }) => {
      const loaded = snapshots.length === 2 && snapshots.every(({ done }) => done);
      return loaded && outboxDepth === waiting(planned, system);
    });
  }, 'the first load');
  expect(await it.allOf('carrick_applied_rows_total')).toEqual(written(planned));
  const status = await it.operator.status();
  expect(status.parked).toEqual(parked(planned));
  expect(status.openConflicts).toBe(total?.differ);
});
