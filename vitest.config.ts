import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    // They end what hangs: a busy machine is only slow.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    // Servers, daemons and workers share the machine: more workers only make each of them wait.
    maxWorkers: 2,
    projects: [
      {
        extends: true,
        test: { name: 'unit', include: ['test/unit/**/*.test.ts', 'test/property/**/*.test.ts'] },
      },
      {
        extends: true,
        test: {
          name: 'integration',
          include: ['test/{conformance,integration,crash}/**/*.test.ts'],
          globalSetup: 'test/support/global-setup.ts',
        },
      },
      {
        extends: true,
        test: { name: 'simulation', include: ['test/{simulation,explorer}/**/*.test.ts'] },
      },
    ],
  },
});
