import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readMapping } from '../../src/config/read-mapping.ts';
import { compileEntities } from '../../src/normalize/compile.ts';
import { metricsTable } from '../../src/observe/metrics.ts';
import { ROOT } from '../support/sources.ts';

const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');

test('the README has the table of metrics as the code has it', () => {
  expect(readme).toContain(metricsTable().trim());
});

test.each(['product', 'article'])('the mapping of %s compiles', (entity) => {
  const block = new RegExp(`\`\`\`yaml\\n(# mappings/${entity}\\.yaml[\\s\\S]*?)\`\`\``);
  const [, text = ''] = block.exec(readme) ?? [];
  const read = readMapping('README.md', text);
  expect(read).toMatchObject({ ok: true });
  if (!read.ok) return;
  expect(compileEntities([read.value], (_, names) => names)).toMatchObject({ ok: true });
});
