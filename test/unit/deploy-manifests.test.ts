/** Compose and Kubernetes: their configurations load, and Carrick is run as it should be. */
import { existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { parse } from 'yaml';
import { loadComposition } from '../../src/compose.ts';
import { ROOT } from '../support/sources.ts';
import { textOf } from './deploy-expressions.ts';

interface Service {
  readonly read_only?: boolean;
  readonly cap_drop?: readonly string[];
  readonly volumes?: readonly string[];
  readonly image: string;
}

interface Compose {
  readonly services: Readonly<Record<string, Service>>;
  readonly configs: Readonly<Record<string, { readonly content: string }>>;
}

const compose = parse(textOf('deploy/compose.yaml'), { merge: true }) as Compose;

/** Compose puts variables into contents: a dollar sign that is meant is doubled. */
const content = (name: string): string =>
  (compose.configs[name]?.content ?? '').replaceAll('$$', '$');

/** The entities of a configuration that is read in a folder of its own, with our mappings. */
async function entitiesOf(text: string, env: Record<string, string>): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'carrick-manifest-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  symlinkSync(join(ROOT, 'mappings'), join(folder, 'mappings'));
  for (const [name, value] of Object.entries(env)) writeFileSync(join(folder, name), value);
  const file = join(folder, 'carrick.yaml');
  writeFileSync(
    file,
    text.replaceAll('/run/secrets/carrick/', './').replace('/etc/mappings', 'mappings'),
  );
  const { entities, config } = await loadComposition(file, env, { offline: true });
  expect(config.listen).toEqual({ host: '0.0.0.0', port: 9464 });
  return [...entities.keys()].sort();
}

const ENTITIES = ['customer', 'order', 'order_line', 'product'];

describe('compose', () => {
  test("Carrick's configuration loads", async () => {
    const env = {
      CRM_URL: 'postgres://carrick:carrick@crm:5432/crm',
      ERP_URL: 'mysql://carrick:carrick@erp:3306/erp',
      CARRICK_API_TOKEN: 'demonstration-only',
      CARRICK_LEDGER_KEY: 'ZGVtb25zdHJhdGlvbi1vbmx5LWtleS0zMi1ieXRlcyE=',
    };
    for (const [name, value] of Object.entries(env)) {
      expect(textOf('deploy/compose.yaml')).toMatch(new RegExp(`${name}: .*${value}`));
    }
    expect(await entitiesOf(content('carrick'), env)).toEqual(ENTITIES);
  });

  test('what is mounted from here is here', () => {
    const mounted = Object.values(compose.services).flatMap(({ volumes = [] }) => volumes);
    const paths = mounted.map((volume) => volume.split(':')[0] ?? '').filter((p) => /^\./.test(p));
    expect(paths.length).toBeGreaterThan(5);
    expect(paths.filter((path) => !existsSync(resolve(ROOT, 'deploy', path)))).toEqual([]);
  });

  test('everything of Carrick runs read-only and without privileges', () => {
    const ours = Object.values(compose.services).filter(({ image }) => image === 'carrick');
    expect(ours.length).toBe(4);
    for (const { read_only, cap_drop } of ours) {
      expect({ read_only, cap_drop }).toEqual({ read_only: true, cap_drop: ['ALL'] });
    }
  });
});

describe('kubernetes', () => {
  const config = parse(textOf('deploy/kubernetes/config.yaml'));
  const { spec } = parse(textOf('deploy/kubernetes/sidecar.yaml'));
  const [sidecar] = spec.template.spec.initContainers;

  test("Carrick's configuration loads, its secrets read from files", async () => {
    const secrets = {
      'crm-url': 'postgres://carrick@crm/crm',
      'erp-url': 'mysql://carrick@erp/erp',
      'api-token': 'sixteen characters or more\n',
      'ledger-key': `${Buffer.alloc(32).toString('base64')}\n`,
    };
    expect(await entitiesOf(config.data['carrick.yaml'], secrets)).toEqual(ENTITIES);
  });

  test('one process, not restarted for an outage of a database, nor before it could drain', () => {
    expect(spec.replicas).toBe(1);
    expect(sidecar.restartPolicy).toBe('Always');
    expect(sidecar.readinessProbe.httpGet.path).toBe('/readyz');
    // /healthz answers 503 while a source is silent, for whatever reason.
    expect(sidecar.livenessProbe.httpGet.path).toBe('/metrics');
    expect(sidecar.startupProbe).toBeUndefined();
    expect(spec.template.spec.terminationGracePeriodSeconds).toBeGreaterThan(30);
  });

  test('every volume that is mounted is there, and only the ledger can be written', () => {
    const names = [
      ...spec.template.spec.volumes.map(({ name }: { name: string }) => name),
      ...spec.volumeClaimTemplates.map(
        ({ metadata }: { metadata: { name: string } }) => metadata.name,
      ),
    ];
    const mounts: { name: string; mountPath: string; readOnly?: boolean }[] = sidecar.volumeMounts;
    expect(mounts.filter(({ name }) => !names.includes(name))).toEqual([]);
    const writable = mounts.filter(({ readOnly }) => readOnly !== true);
    expect(writable.map(({ mountPath }) => mountPath)).toEqual(['/var/lib/carrick']);
    expect(sidecar.securityContext.readOnlyRootFilesystem).toBe(true);
  });
});
