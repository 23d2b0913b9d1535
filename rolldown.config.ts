import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { defineConfig, type Plugin } from 'rolldown';

/**
 * The program with its packages in a few files: finding, opening and compiling some 900 modules was
 * most of a start. Connectors stay files of their own, loaded when a configuration names them.
 */
export default defineConfig({
  input: 'src/main.ts',
  platform: 'node',
  output: {
    ...{ dir: 'dist', cleanDir: true, chunkFileNames: '[name].js', sourcemap: true },
    // Kept in memory with the rest of the text.
    comments: false,
  },
  plugins: [plainText(), licenses()],
});

/**
 * V8 keeps the text of a program in memory, with two bytes for each character unless all of them
 * are Latin-1: others are spelled as escapes.
 */
function plainText(): Plugin {
  return {
    name: 'plain-text',
    generateBundle(_, bundle) {
      for (const file of Object.values(bundle)) {
        if (file.type === 'chunk') file.code = file.code.replace(/[^\0-\x7f]/g, escaped);
      }
    },
  };
}

const escaped = (unit: string): string => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** Every package's licence has to go along with its code. */
function licenses(): Plugin {
  return {
    name: 'licenses',
    generateBundle(_, bundle) {
      const modules = Object.values(bundle).flatMap((file) =>
        file.type === 'chunk' ? file.moduleIds : [],
      );
      const folders = modules.flatMap((id) => PACKAGE.exec(id)?.[0] ?? []);
      const source = [...new Set(folders)].sort().map(licenseOf).join('\n\n');
      this.emitFile({ type: 'asset', fileName: 'LICENSES.txt', source });
    },
  };
}

/** A module's package is the innermost one. */
const PACKAGE = /^.*\/node_modules\/(@[^/]+\/)?[^/]+/;

function licenseOf(folder: string): string {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const texts = globSync('{licen[cs]e,LICEN[CS]E,License,NOTICE}*', { cwd: folder }).map((file) =>
    readFileSync(join(folder, file), 'utf8').trim(),
  );
  return [`${name} ${version} (${license})`, ...texts].join('\n\n');
}
