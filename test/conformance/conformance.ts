/** Runs one group of tests against every system that has a driver. */
import { afterAll, beforeAll, describe, type TestContext, test } from 'vitest';
import type { Dialect, Driver, Server } from './driver.ts';
import { drivers } from './drivers/all.ts';

export interface Subject {
  readonly driver: Driver;
  readonly dialect: Dialect;
  /** Running from the first test on. */
  readonly server: () => Server;
  /** Declares a test that the driver may waive. */
  test(name: string, run: (context: TestContext) => Promise<void>): void;
}

export function conformance(group: string, declare: (subject: Subject) => void): void {
  for (const driver of drivers) {
    describe(`${driver.name}: ${group}`, () => {
      let server: Server | undefined;
      beforeAll(async () => {
        server = await driver.start();
      });
      afterAll(() => server?.[Symbol.asyncDispose]());
      const waived = waiversOf(driver, group);
      declare({
        driver,
        dialect: driver.dialect,
        server: () => server!,
        test(name, run) {
          const reason = waived.get(name);
          waived.delete(name);
          if (reason === undefined) test(name, run);
          else test.skip(`${name} (waived: ${reason})`);
        },
      });
      if (waived.size > 0) throw new Error(`waivers without a test: ${[...waived.keys()]}`);
    });
  }
}

function waiversOf({ waivers }: Driver, group: string): Map<string, string> {
  const own = Object.entries(waivers).filter(([name]) => name.startsWith(`${group}: `));
  return new Map(own.map(([name, reason]) => [name.slice(group.length + 2), reason]));
}
