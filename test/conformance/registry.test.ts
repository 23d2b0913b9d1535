/** The suite is for every connector: the registry says which there are. */
import { expect, test } from 'vitest';
import { connectors } from '../../connectors/registry.ts';
import { drivers } from './drivers/all.ts';

/** Names for a connector that has a driver under another one. */
const ALIASES: Readonly<Record<string, string>> = {
  mysql: 'mariadb',
  mariadb: 'mysql',
};

test('every connector of the registry has a driver', async () => {
  const driven = new Set(drivers.map(({ connector }) => connector));
  const without: string[] = [];
  for (const name of Object.keys(connectors)) {
    if (driven.has(name)) continue;
    const other = connectors[ALIASES[name] ?? ''];
    const same = other !== undefined && (await other()) === (await connectors[name]!());
    if (!same) without.push(name);
  }
  expect(without).toEqual([]);
});

test('every driver names a connector of the registry, which describes its options', async () => {
  for (const { connector } of drivers) {
    const loaded = await connectors[connector]!();
    expect(loaded.optionsSchema).toMatchObject({});
    const refused = loaded.parse({ no_such_option: 1 });
    expect(refused.ok).toBe(false);
    if (!refused.ok) expect(refused.problems[0]?.message).not.toBe('');
  }
});
