/** One mistake hides no other: what `carrick check --offline` tells of a mapping. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { loadComposition } from '../../src/compose.ts';

const CONFIG = `systems:
  crm: {connector: postgres, url: "postgres://localhost/crm"}
  erp: {connector: mysql, url: "mysql://localhost/erp"}
mappings: [thing.yaml]
`;

const GOOD = {
  name: 'name: name',
  kind: 'kind: {column: kind, values: {A: a}}',
  conflicts: '{fields: [name], prefer: erp}',
};

const mapping = (parts: Partial<typeof GOOD>): string => {
  const { name, kind, conflicts } = { ...GOOD, ...parts };
  return `entity: thing
match: [[no]]
fields: {no: string, name: string, kind: {type: enum, values: [a]}}
systems:
  crm:
    table: things
    key: id
    fields:
      no: no
      ${name}
      ${kind}
  erp:
    table: things
    key: id
    fields: {no: no, name: name, kind: kind}
conflicts:
  - ${conflicts}
`;
};

async function told(text: string): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'carrick-salvage-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'thing.yaml'), text);
  const file = join(folder, 'carrick.yaml');
  writeFileSync(file, CONFIG);
  try {
    await loadComposition(file, {}, { offline: true });
    return [];
  } catch (error) {
    const lines = (error as { text: string }).text.split('\n');
    return lines.flatMap((line) => /thing\.yaml:(\d+:\d+: .*)/.exec(line)?.[1] ?? []);
  }
}

test.each<[string, Partial<typeof GOOD>, string[]]>([
  ['nothing is wrong', {}, []],
  [
    'an unknown key beside wrong codes and an unknown field',
    {
      name: 'name: {column: name, claen: [trim]}',
      kind: 'kind: {column: kind, values: {A: b}}',
      conflicts: '{fields: [nmae], prefer: erp}',
    },
    [
      '10:28: unknown key "claen"',
      '11:28: no code for "a"',
      '11:40: kind cannot be "b"',
      '17:15: unknown field or group "nmae"',
    ],
  ],
  [
    'what follows from a mistake is not told besides',
    { name: 'name: {colum: name}', kind: 'kind: 7' },
    ['10:14: unknown key "colum"', '11:13: "systems.crm.fields.kind" is not understood'],
  ],
  [
    'a wrong element of a list leaves the others where they stand',
    { conflicts: '{fields: [name], prefer: 7}\n  - {fields: [nmae], park: true}' },
    ['17:30: "conflicts.0.prefer" has the wrong type', '18:15: unknown field or group "nmae"'],
  ],
])('%s', async (_, parts, expected) => {
  expect(await told(mapping(parts))).toEqual(expected);
});
