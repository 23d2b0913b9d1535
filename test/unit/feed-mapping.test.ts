/** What a mapping with `feed` may say, and how a mistake in it is told. */
import { expect, test } from 'vitest';
import { feedsOf } from '../../src/feed/plan.ts';
import { entityOf, problemsOf, table } from './mapping-fixture.ts';

const schemas = new Map([
  ['crm', [table('items', { no: 'string', title: 'string', live: 'boolean', made: 'datetime' })]],
  ['erp', [table('articles', { id: 'integer', code: 'string', name: 'string', gone: 'boolean' })]],
]);

const mapping = ({ top = '', crm = '', erp = '', key = 'no', no = 'no', code = 'code' } = {}) => `\
entity: item
feed: crm
match: [[no]]
fields: {no: {type: string, required: true}, name: string}
${top}
systems:
  crm:
    table: items
    key: ${key}
    fields: {no: ${no}, name: title}
    ${crm}
  erp:
    table: articles
    key: id
    fields: {no: ${code}, name: name}
    ${erp}
`;

test('a feed copies by the key of its source', () => {
  const [feed] = feedsOf([entityOf(mapping(), schemas)]);
  expect([feed?.name, feed?.tables.map(({ name }) => name)]).toEqual(['crm>erp', ['items']]);
  const [route] = [...(feed?.routes.values() ?? [])].flat();
  const names = (at: readonly number[] = []) => at.map((i) => route?.target.table.columns[i]);
  expect([names(route?.key), names(route?.columns)]).toEqual([['code'], ['code', 'name']]);
});

test.each([
  [{ top: 'conflicts: [last_writer]' }, '5:1 a feed settles nothing: only crm writes item'],
  [{ top: 'first_contact: {prefer: crm}' }, '5:1 a feed settles nothing: only crm writes item'],
  [
    { key: 'title' },
    '9:10 the match fields must be the key columns of crm (no, or a match on title)',
  ],
  [{ no: '{column: no, clean: [lower]}' }, /^\d+:\d+ no tells rows apart: a feed copies it as it/],
  [{ code: '{column: code, direction: in}' }, /a feed only writes the fields of erp/],
  [{ no: '{column: no, direction: out}' }, /a feed only reads the fields of crm/],
  [{ erp: 'where: "code != name"' }, /"where" has no place in a feed/],
  [{ erp: 'on_insert: {gone: false}' }, /"on_insert" has no place in a feed/],
  [{ crm: 'written_at: {column: made, zone: UTC}' }, /"written_at" has no place in a feed/],
  [{ erp: 'delete: {soft: {name: x}}' }, /what a row holds there that is not deleted is not known/],
])('%j', (what, told) => {
  const problems = problemsOf(mapping(what), schemas);
  expect(problems).toHaveLength(1);
  expect(problems[0]).toMatch(told);
});

test('what links would have to tell is not for a feed', () => {
  const ref = mapping().replace('name: string', 'name: {ref: item}');
  expect(problemsOf(ref, schemas)).toContainEqual(
    expect.stringContaining('a feed keeps no links (the type of the key that it holds'),
  );
  const unknown = mapping().replace('feed: crm', 'feed: cmr');
  expect(problemsOf(unknown, schemas)).toContainEqual(
    expect.stringContaining('2:7 unknown system "cmr" (one of crm, erp) ~crm'),
  );
});
