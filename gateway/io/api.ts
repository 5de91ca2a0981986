/**
 * The gateway's API on a UNIX socket that only root can open: plan, apply, show, policy
 * records and events. JSON in and out. The operator's file comes as
 * text with its absolute path, because positions in errors and relative secret paths need it.
 */
import path from 'node:path';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { z } from 'zod';
import { describeOp, worstImpact } from '../../compartments/plan.ts';
import { listen, newServer, serveRecords } from '../../control/io/api.ts';
import type { RecordPlane } from '../../control/plane.ts';
import type { Result } from '../../lib/result.ts';
import type { Change, Gateway, Refusal } from '../gateway.ts';
import type { Readings } from '../show/readings.ts';
import { NOUNS, show } from '../show/show.ts';

const Source = z.strictObject({
  file: z.string().refine((f) => path.isAbsolute(f), 'must be an absolute path'),
  text: z.string(),
});

const changeRows = (gateway: Gateway, { ops, notes }: Change) => ({
  notes,
  impact: worstImpact(ops),
  ops: ops.map((o) => ({
    verb: o.verb,
    kind: o.resource.kind,
    key: o.resource.key,
    routingDomain: gateway.routingDomain(o.resource.slot),
    impact: o.impact,
    text: describeOp(o),
  })),
});

/** Starts to listen, with what `more` adds; the returned instance's `close()` ends it. A socket left by a dead process is taken over. */
export async function serveApi(
  socket: string,
  gateway: Gateway,
  readings: Readings,
  plane: RecordPlane,
  log: Logger,
  more: (app: FastifyInstance) => void = () => undefined,
): Promise<FastifyInstance> {
  const app = newServer();
  app.setErrorHandler((error: Error & { statusCode?: number }, request, reply) => {
    const status = error.statusCode ?? 500;
    if (status >= 500) log.error({ err: error, url: request.url }, 'a request failed');
    return reply.code(status).send({ code: 'ERROR', message: error.message });
  });

  const answer = (result: Result<Change, Refusal>) =>
    result.ok
      ? { status: 200, body: changeRows(gateway, result.value) }
      : { status: result.error.code === 'CONFIG' ? 422 : 500, body: result.error };

  for (const verb of ['plan', 'apply'] as const)
    app.post(`/v1/${verb}`, async (request, reply) => {
      const source = Source.safeParse(request.body);
      if (!source.success) return reply.code(400).send({ code: 'REQUEST', message: z.prettifyError(source.error) });
      const { status, body } = answer(await gateway[verb](source.data));
      return reply.code(status).send(body);
    });

  app.get('/v1/status', () => gateway.status);

  app.get<{ Params: { noun: string }; Querystring: { routingDomain?: string } }>(
    '/v1/show/:noun',
    async (request, reply) => {
      const { noun } = request.params;
      if (!NOUNS.includes(noun))
        return reply.code(404).send({ code: 'NO_NOUN', message: `show knows ${NOUNS.join(', ')}` });
      const running = gateway.running;
      if (!running)
        return reply.code(409).send({ code: 'NOT_CONFIGURED', message: 'the gateway has no configuration yet' });
      const { routingDomain } = request.query;
      const rows = show(noun, running, readings, routingDomain);
      return rows ?? reply.code(404).send({ code: 'NO_ROUTING_DOMAIN', message: `no routing domain ${routingDomain}` });
    },
  );

  more(app);
  serveRecords(app, plane, (ops) => changeRows(gateway, { ops, notes: [] }));
  await listen(app, socket);
  return app;
}
