/**
 * Database servers other than the machine's own, from other suites of Debian (trixie, sid): apt
 * downloads a server with all it needs into a folder, dpkg unpacks it there, and nothing of the
 * machine changes. Its programs run with the unpacked C library. Needs apt and dpkg, and neither
 * root nor a chroot.
 */
import { execFile } from 'node:child_process';
import { existsSync, globSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

/** Where the machine itself takes Debian's packages from; its mirror has the other suites too. */
async function mirror(): Promise<string> {
  const { stdout } = await run('apt-get', ['indextargets', '--format', '$(REPO_URI)']);
  const found = stdout.split('\n').find((uri) => /\/debian\/?$/.test(uri));
  if (found === undefined) {
    throw new Error('apt names no Debian mirror: run `apt-get update`, or add one to its sources');
  }
  return found;
}

/** A folder in `cache` with the files of the packages and their dependencies in `root`. */
export async function unpacked(
  cache: string,
  suite: string,
  packages: readonly string[],
): Promise<string> {
  const folder = join(cache, packages[0]!);
  if (existsSync(folder)) return folder;
  for (const tool of ['apt-get', 'dpkg']) {
    await run(tool, ['--version']).catch(() => {
      throw new Error(`the machine has no ${tool}: it is no Debian`);
    });
  }
  // What a run that was stopped half-way left would look like a whole engine.
  const fresh = `${folder}.new`;
  rmSync(fresh, { recursive: true, force: true });
  const source = `deb [signed-by=${KEYRING}] ${await mirror()} ${suite} main\n`;
  const apt = prepareApt(source, join(cache, 'apt', suite), join(fresh, 'debs'));
  await apt(['update']);
  await apt(['install', '--yes', '--download-only', ...packages]);
  const root = join(fresh, 'root');
  for (const deb of globSync(join(fresh, 'debs/*.deb'))) {
    await run('dpkg-deb', ['--extract', deb, root]);
  }
  rmSync(join(fresh, 'debs'), { recursive: true });
  renameSync(fresh, folder);
  return folder;
}

/** An apt that knows of one source and of no installed package, and downloads into `debs`. */
function prepareApt(
  source: string,
  dir: string,
  debs: string,
): (command: string[]) => Promise<unknown> {
  for (const folder of ['var/lib/apt/lists/partial', 'var/cache/apt', 'etc/apt/preferences.d']) {
    mkdirSync(join(dir, folder), { recursive: true });
  }
  mkdirSync(join(debs, 'partial'), { recursive: true });
  const status = join(dir, 'no-package-is-installed');
  writeFileSync(status, '');
  writeFileSync(join(dir, 'etc/apt/sources.list'), source);
  const settings = {
    Dir: dir,
    'Dir::State::status': status,
    'Dir::Cache::archives': debs,
    'Dir::Etc::SourceParts': '-',
    'APT::Install-Recommends': 'false',
    'APT::Sandbox::User': 'root',
    'Acquire::Languages': 'none',
    'Acquire::Retries': '3',
    // A mirror may lag behind for weeks; the signatures are checked all the same.
    'Acquire::Check-Valid-Until': 'false',
  };
  const options = Object.entries(settings).flatMap(([key, value]) => ['-o', `${key}=${value}`]);
  return (command) =>
    run('apt-get', ['-q', ...options, ...command], { maxBuffer: 2 ** 26 }).catch(
      ({ stderr, message }: { stderr?: string; message: string }) => {
        const [complaint = message] = stderr?.split('\n').filter((line) => /^E:/.test(line)) ?? [];
        throw new Error(`apt-get ${command[0]}: ${complaint}`);
      },
    );
}

/**
 * Writes a starter for the program `path` of an unpacked engine and returns it. It stands at the
 * same path outside of `root`, so that a program finds others and its files beside itself.
 * `last` are arguments behind those of the caller.
 */
export function starter(folder: string, path: string, last: readonly string[] = []): string {
  const [loader] = globSync(join(folder, 'root/usr/lib/*/ld-linux*.so.*'));
  if (loader === undefined) throw new Error(`${folder} holds no C library`);
  const file = join(folder, path);
  mkdirSync(dirname(file), { recursive: true });
  const program = join(folder, 'root', path);
  const loading = [loader, '--argv0', file, '--library-path', dirname(loader), program];
  const words = [...loading.map(quoted), '"$@"', ...last.map(quoted)];
  writeFileSync(file, `#!/bin/sh\nexec ${words.join(' ')}\n`, { mode: 0o755 });
  return file;
}

const quoted = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`;
