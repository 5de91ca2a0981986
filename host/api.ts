/** The host agent's API on a UNIX socket that only root can open: policy records and events. */
import fastify, { type FastifyInstance } from 'fastify';
import { describedOps, listen, serveRecords } from '../control/io/api.ts';
import type { RecordPlane } from '../control/plane.ts';

const BODY_LIMIT = 32 * 1024 * 1024;

/** Starts to listen; the returned instance's `close()` ends it. A socket left by a dead process is taken over. */
export async function serveHostApi(socket: string, plane: RecordPlane): Promise<FastifyInstance> {
  // Followers of events would keep a closing server waiting.
  const app = fastify({ bodyLimit: BODY_LIMIT, forceCloseConnections: true });
  serveRecords(app, plane, describedOps);
  await listen(app, socket);
  return app;
}
