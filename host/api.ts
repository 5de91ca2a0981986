/** The host agent's API on a UNIX socket that only root can open: policy records and events. */
import type { FastifyInstance } from 'fastify';
import { describedOps, listen, newServer, serveRecords } from '../control/io/api.ts';
import type { RecordPlane } from '../control/plane.ts';

/** Starts to listen; the returned instance's `close()` ends it. A socket left by a dead process is taken over. */
export async function serveHostApi(socket: string, plane: RecordPlane): Promise<FastifyInstance> {
  const app = newServer();
  serveRecords(app, plane, describedOps);
  await listen(app, socket);
  return app;
}
