/** The suite is for every connector: the registry says which there are. */
import { expect, test } from 'vitest';
import { connectors } from '../../connectors/registry.ts';
import { drivers, driversByConnector } from './drivers/all.ts';

test('every connector of the registry has a driver', () => {
  expect(Object.keys(connectors).sort()).toEqual(Object.keys(driversByConnector).sort());
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
