export { type Authority, makeAuthority } from './certificates.ts';
export {
  erpProduct,
  type MariadbOptions,
  mariadbReplacement,
  startMariadb,
} from './mariadb.ts';
export { ensureServers } from './packages.ts';
export { freePort } from './port.ts';
export {
  type PostgresOptions,
  postgresReplacement,
  startPostgres,
  startStandby,
} from './postgres.ts';
export { type Proxy, startProxy } from './proxy.ts';
export { scratchFolder } from './run.ts';
export { needsControl, type StopMode, type TestServer } from './server.ts';
export { mysqlClient, type PgClient, pgClient } from './sql.ts';
export { type Product, type Role, startSystem, systemOf } from './systems.ts';
