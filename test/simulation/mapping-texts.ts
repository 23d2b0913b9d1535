import type { Setup } from './setup.ts';

const SYSTEMS: Readonly<Record<string, { customer: string; order: string }>> = {
  crm: {
    customer: `
    table: public.accounts
    key: id
    fields:
      customer_no: account_no
      name: name
      email: {column: email, clean: [trim, lower]}
      tier: {column: stage, values: {S: standard, G: gold, P: platinum}}
      credit: credit
      points: points
      tags: tags
      street: street
      city: city
      note: note`,
    order: `
    table: public.orders
    key: id
    fields: {order_no: order_no, customer: account_id, status: status, amount: amount, qty: qty}`,
  },
  erp: {
    customer: `
    table: customers
    key: cust_no
    where: "is_vendor == false"
    fields:
      customer_no: cust_no
      name: display_name
      email: {column: mail, clean: [trim, lower]}
      tier: {column: tier, values: {"1": standard, "2": gold, "3": platinum}}
      credit: credit
      points: points
      tags: labels
      street: addr_street
      city: addr_city
      note: note`,
    order: `
    table: sales_orders
    key: order_id
    fields: {order_no: order_no, customer: cust_no, status: state, amount: net, qty: qty}`,
  },
  web: {
    customer: `
    table: shop.users
    key: [region, no]
    on_insert: {region: eu}
    fields:
      customer_no: no
      name: name
      email: {column: email, clean: [trim, lower]}
      points: points
      tags: tags
      note: note`,
    order: `
    table: shop.orders
    key: uid
    fields: {order_no: order_no, status: status, amount: amount}`,
  },
};

const floodOf = ({ flood }: Pick<Setup, 'flood'>): string =>
  flood === true
    ? 'flood: {share: 0, at_least: 1, within: 10m}'
    : 'flood: {share: 1, at_least: 1000}';

export function customerMapping({
  systems,
  policies,
  deletes,
  softDelete,
  ...setup
}: Setup): string {
  const part = (system: string): string =>
    `  ${system}:${SYSTEMS[system]?.customer}${
      system === 'erp' && softDelete ? '\n    delete: {soft: {active: false}}' : ''
    }`;
  return `
entity: customer
match: ${setup.matchEmail ? '[[customer_no], [email]]' : '[[customer_no]]'}
fields:
  customer_no: {type: string(20), required: true}
  name: string
  email: string
  tier: {type: enum, values: [standard, gold, platinum]}
  credit: decimal(12,2)
  points: integer
  tags: set
  street: string
  city: string
  note: string
groups: {address: [street, city]}
systems:
${systems.map(part).join('\n')}
conflicts:
  - {fields: [name], ${policies.name}}
  - {fields: [note], ${policies.note}}
  - {fields: [email], ${policies.email}}
  - {fields: [address], ${policies.address}}
  - {fields: [credit], max: true}
  - {fields: [points], sum_of_deltas: true}
  - {fields: [tags], union: true}
  - {fields: [tier], when: "erp.tier == 'platinum'", take: erp}
  - {delete: ${deletes}}
  - last_writer
skew_tolerance: ${setup.tolerance}
first_contact: {prefer: crm}
${floodOf(setup)}
`;
}

export function orderMapping({ systems, policies, deletes, tolerance, flood }: Setup): string {
  return `
entity: order
match: [[order_no]]
fields:
  order_no: {type: string(20), required: true}
  customer: {ref: customer}
  status: string
  amount: decimal(12,2)
  qty: integer
systems:
${systems.map((system) => `  ${system}:${SYSTEMS[system]?.order}`).join('\n')}
conflicts:
  - {fields: [status], ${policies.status}}
  - {fields: [amount], ${policies.amount}}
  - {fields: [qty], sum_of_deltas: true}
  - {delete: ${deletes}}
  - last_writer
skew_tolerance: ${tolerance}
first_contact: {prefer: crm}
${floodOf({ flood })}
`;
}
