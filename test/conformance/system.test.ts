/** Setting up, preflight, descriptions, clocks. */
import { expect } from 'vitest';
import { conformance } from './conformance.ts';
import { changesOf, install, plain, plainDdl, systemOf } from './installation.ts';

conformance('system', (subject) => {
  subject.test('setup says what it did, and does it once', async () => {
    await using it = await install(subject, [plain('ready')]);
    expect(await it.system.setup(it.needs)).toEqual([]);
    const instance = `${it.instance}_b`;
    await using user = await subject.server().user();
    await user.run('drop table carrick.carrick_mark');
    await using other = await systemOf(
      subject.driver.connector,
      subject.server().options,
      instance,
    );
    const did = await other.setup(it.needs);
    expect(did.join('\n')).toMatch(/carrick_mark/);
    expect(await other.setup(it.needs)).toEqual([]);
    await subject.server().forget(instance);
  });

  subject.test('nothing stands in the way after it, and preflight changes nothing', async () => {
    await using user = await subject.server().user();
    await user.run(plainDdl('checked'));
    const { connector } = subject.driver;
    const { options, forget } = subject.server();
    await using system = await systemOf(connector, options, 'preflight');
    const needs = { tables: [{ ...plain('checked'), written: true }] };
    const before = await system.preflight(needs);
    await system.setup(needs);
    const after = await system.preflight(needs);
    const wrong = after.filter(({ outcome }) => outcome !== 'note');
    expect(wrong).toEqual([]);
    for (const { check, message, fix } of [...before, ...after]) {
      expect(check).toMatch(/^[a-z_]+\.[a-z0-9_.]+$/);
      expect(message).not.toBe('');
      expect(fix).not.toBe('');
    }
    const misfit = { tables: [{ ...plain('checked', ['id', 'nowhere']), written: true }] };
    const absent = { tables: [{ ...plain('not_there'), written: false }] };
    for (const needed of [misfit, absent]) {
      const found = await system.preflight(needed);
      expect(found.filter(({ outcome }) => outcome === 'problem')).not.toEqual([]);
    }
    await forget('preflight');
  });

  subject.test('the printed statements run, again and again, and make it ready', async () => {
    await using user = await subject.server().user();
    await user.run(plainDdl('printed'));
    const { connector } = subject.driver;
    const { options, forget } = subject.server();
    await using system = await systemOf(connector, options, 'printed');
    const needs = { tables: [{ ...plain('printed'), written: true }] };
    for (let time = 0; time < 2; time++) {
      for (const statement of system.setupScript(needs)) {
        const sql = statement.replaceAll(/^--.*$/gm, '').trim();
        if (sql !== '') await user.run(sql);
      }
    }
    const did = await system.setup(needs);
    const found = await system.preflight(needs);
    expect(did).toEqual([]);
    expect(found.filter(({ outcome }) => outcome !== 'note')).toEqual([]);
    await forget('printed');
  });

  subject.test('tables are described as they are, and as they stream', async () => {
    const { generatedKey } = subject.dialect;
    const ddl = [
      `create table described (id ${generatedKey}, name varchar(40) not null,
        amount decimal(12,2) default 1.5,
        twice decimal(14,2) generated always as (amount * 2) stored)`,
      'create table pairs (b int, a varchar(10), n int, primary key (a, b))',
      'create table keyless (n int)',
    ];
    const spec = plain('described', ['id', 'name', 'amount']);
    await using it = await install(subject, [spec], ddl);
    const tables = await it.system.describe(['keyless', 'described', 'absent', 'pairs']);
    expect(tables.map(({ name, primaryKey }) => [name, primaryKey])).toEqual([
      ['keyless', []],
      ['described', ['id']],
      ['pairs', ['a', 'b']],
    ]);
    const described = tables.find(({ name }) => name === 'described')!.columns;
    const facts = described.map((column) => [
      column.name,
      column.kind,
      column.nullable,
      column.hasDefault,
      column.readOnly,
    ]);
    expect(facts.slice(0, 3)).toEqual([
      ['id', 'integer', false, true, false],
      ['name', 'string', false, false, false],
      ['amount', 'decimal', true, true, false],
    ]);
    expect(described[3]).toMatchObject({ name: 'twice', kind: 'decimal', readOnly: true });
    for (const { nativeType } of described) expect(nativeType).not.toBe('');
    // What is left out of an insert is what the system fills, and the log says with what.
    await it.apply({
      op: 'insert',
      table: 'described',
      key: ['id'],
      columns: ['name'],
      compare: [],
      guards: [],
      rows: [{ key: null, values: ['x'], expect: [] }],
    });
    const [change] = changesOf(await it.drain(await it.source(), it.origin));
    expect(change?.row).toEqual(['1', 'x', '1.50']);
  });

  subject.test('the clock of a server on this machine is ours', async () => {
    await using it = await install(subject, [plain('clock')]);
    const offset = await it.system.clockOffset();
    expect(Math.abs(offset)).toBeLessThan(5_000_000);
    expect(Number.isFinite(offset)).toBe(true);
  });

  subject.test('a server that cannot be reached could not be checked', async () => {
    const { options, control } = subject.server();
    const port = `:${control.port}/`;
    const elsewhere = JSON.parse(JSON.stringify(options).replace(port, ':1/'));
    await using system = await systemOf(subject.driver.connector, elsewhere, 'nowhere');
    const found = await system.preflight({ tables: [{ ...plain('any'), written: true }] });
    expect(found.map(({ outcome }) => outcome)).toContain('unknown');
    expect(found.map(({ outcome }) => outcome)).not.toContain('problem');
  });
});
