import { constants } from 'node:fs';
import { access, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { runTool } from './process.ts';
import { ownFolder, removeFolder, runFolder, scratchFolder } from './run.ts';

const building = new Map<string, Promise<string>>();

/**
 * A new folder with a fresh copy of the data folder `name` at `data`. The template behind it is
 * built once a run by `build`, which fills `folder/data`; a copy takes a tenth of that time.
 * The folder `into` is taken as it is where it holds data already.
 */
export async function copyOfTemplate(
  name: string,
  build: (folder: string) => Promise<void>,
  into?: string,
): Promise<string> {
  if (into !== undefined && (await exists(join(into, 'data')))) return into;
  const template = await prepareTemplate(name, build);
  const folder = into === undefined ? await scratchFolder(name) : await ownFolder(into);
  const from = join(template, 'data');
  await runTool(['cp', '-a', '--reflink=auto', from, join(folder, 'data')], folder);
  return folder;
}

/** The template's folder, built if this run has none yet. */
export function prepareTemplate(
  name: string,
  build: (folder: string) => Promise<void>,
): Promise<string> {
  const known = building.get(name);
  if (known !== undefined) return known;
  const template = buildTemplate(name, build);
  building.set(name, template);
  return template;
}

async function buildTemplate(
  name: string,
  build: (folder: string) => Promise<void>,
): Promise<string> {
  const template = join(runFolder(), `template-${name}`);
  if (await exists(template)) return template;
  const folder = await scratchFolder(name);
  await build(folder);
  try {
    await rename(folder, template);
  } catch (error) {
    // Another worker of this run was first; its template is as good.
    if (!(await exists(template))) throw error;
    removeFolder(folder);
  }
  return template;
}

const exists = (path: string): Promise<boolean> =>
  access(path, constants.F_OK).then(
    () => true,
    () => false,
  );
