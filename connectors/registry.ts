import type { Connector } from '../src/contract/connector.ts';

/** Connectors by the name that the configuration uses; a driver is loaded only when it is named. */
export const connectors: Readonly<Record<string, () => Promise<Connector>>> = {
  postgres: async () => (await import('./postgres/connector.ts')).connector,
  mysql: async () => (await import('./mysql/connector.ts')).connector,
  mariadb: async () => (await import('./mysql/connector.ts')).connector,
};
