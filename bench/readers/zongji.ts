import ZongJi from '@vlasky/zongji';
import { readJob, startReading } from './job.ts';

const { url, file, offset, rows } = readJob();
const { hostname: host, port, username: user, password, pathname } = new URL(url);
const database = pathname.slice(1);
const done = startReading();
const zongji = new ZongJi({ host, port: Number(port), user, password });
let read = 0;
zongji.on('error', (error: Error) => {
  throw error;
});
zongji.on('binlog', (event) => {
  if (!('rows' in event) || !Array.isArray(event.rows)) return;
  read += event.rows.length;
  if (read >= rows) done();
});
zongji.start({
  filename: file,
  position: offset,
  serverId: 4_000_000,
  includeEvents: ['tablemap', 'writerows', 'updaterows', 'deleterows'],
  includeSchema: { [database]: ['accounts'] },
});
