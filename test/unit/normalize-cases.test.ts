import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadCases } from '../../src/config/cases.ts';
import { readMapping } from '../../src/config/read-mapping.ts';
import { runCases } from '../../src/normalize/cases.ts';
import { compileEntities } from '../../src/normalize/compile.ts';

const MAPPING = `entity: e
match: [[no]]
fields: {no: {type: string, required: true}, limit: "decimal(6,2)", tags: set}
systems:
  a:
    table: t
    key: id
    where: "vendor == false"
    fields: {no: no, limit: {column: lim, clean: [round]}, tags: tags}
    delete: {soft: {gone: true}}
`;

const CASES = `
- name: fits
  system: a
  row: {no: 007, lim: 1.10, vendor: false, tags: [b, a]}
  record: {no: "007", limit: "1.10", tags: [a, b]}
- {name: differs, system: a, row: {no: x, lim: 1.005, vendor: false}, record: {limit: 1.00, no: y}}
- {name: vendor, system: a, row: {vendor: true}, outcome: outside}
- {name: gone, system: a, row: {vendor: false, gone: true}, outcome: deleted}
- {name: fault, system: a, row: {vendor: false}, faults: [no]}
- {name: no fault, system: a, row: {vendor: false, no: x}, faults: [no]}
- {name: writes, system: a, record: {no: x, limit: 2.50}, writes: {no: x, lim: 2.50}}
- {name: strange, system: a, row: {nope: 1}}
- {name: nowhere, system: b, row: {}}
`;

test('cases run, and tell what came out otherwise', () => {
  const directory = mkdtempSync(join(tmpdir(), 'carrick-cases-'));
  try {
    writeFileSync(join(directory, 'e.cases.yaml'), CASES);
    const mapping = readMapping(join(directory, 'e.yaml'), MAPPING);
    if (!mapping.ok) throw new Error(JSON.stringify(mapping.problems));
    const cases = loadCases([mapping.value]);
    if (!cases.ok) throw new Error(JSON.stringify(cases.problems));
    const compiled = compileEntities([mapping.value], (_, names) => names);
    if (!compiled.ok) throw new Error(JSON.stringify(compiled.problems));
    const results = runCases(compiled.value[0]!, cases.value[0]!);
    expect(results.map(({ name, faults }) => [name, faults])).toEqual([
      ['fits', []],
      ['differs', ['limit: expected "1.00", came out "1.01"', 'no: expected "y", came out "x"']],
      ['vendor', []],
      ['gone', []],
      ['fault', []],
      ['no fault', ['expected invalid, came out row']],
      ['writes', []],
      ['strange', ['the mapping uses no column nope']],
      ['nowhere', ['e has no system b']],
    ]);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
