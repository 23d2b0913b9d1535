import { readFileSync } from 'node:fs';
import { findPackageJSON } from 'node:module';

/** Carrick's own version, from the package that this file is in, compiled or not. */
export const version: string = (() => {
  const path = findPackageJSON(import.meta.url);
  return path === undefined ? 'unknown' : JSON.parse(readFileSync(path, 'utf8')).version;
})();
