/**
 * The part of the API that the gateway and the host agent have in common, on a UNIX socket that only root can open: policy
 * records and events. JSON in and out; events are JSON lines that go on until either side hangs up.
 */
import fs from 'node:fs';
import path from 'node:path';
import fastify, { type FastifyInstance } from 'fastify';
import { z } from 'zod';
import { describeOp } from '../../compartments/plan.ts';
import type { Op } from '../../compartments/resource.ts';
import { RECORD_KINDS } from '../../encap/records.ts';
import { SAMPLING } from '../drops.ts';
import { NOTICE_TYPES, type Notice } from '../hub.ts';
import type { RecordPlane, RecordRefusal } from '../plane.ts';
import type { Properties } from '../properties.ts';
import { changesOf, isRecordKind, rowsOf, VERBS } from '../request.ts';

/** A listener that is slower than this many bytes loses events, and is told how many. */
const BACKLOG_BYTES = 1 << 20;

/** A change of many records, or an operator's file with JSON's escapes; the loader refuses larger files as well. */
const BODY_LIMIT = 32 * 1024 * 1024;

const noSchemas = () => {
  throw new Error('what this API is asked is checked by zod');
};

/** A server without routes. JSON Schema's compilers, which it never uses, stay unloaded: they are half of its start. */
export const newServer = (): FastifyInstance =>
  fastify({
    bodyLimit: BODY_LIMIT,
    // Followers of events would keep a closing server waiting.
    forceCloseConnections: true,
    schemaController: { compilersFactory: { buildValidator: noSchemas, buildSerializer: noSchemas } },
  });

const Changes = z.strictObject({
  changes: z
    .array(
      z.strictObject({
        verb: z.enum(VERBS),
        kind: z.enum(RECORD_KINDS),
        properties: z.record(z.string(), z.union([z.string(), z.number()]).transform(String)),
      }),
    )
    .min(1),
});

const STATUS: { readonly [C in RecordRefusal['code']]: number } = { RECORD: 422, FAILED: 500, NOT_CONFIGURED: 409 };

const NOT_CONFIGURED = { code: 'NOT_CONFIGURED', message: 'there is no configuration yet' };

export function serveRecords(app: FastifyInstance, plane: RecordPlane, opRows: (ops: readonly Op[]) => unknown): void {
  app.post('/v1/records', async (request, reply) => {
    const body = Changes.safeParse(request.body);
    if (!body.success) return reply.code(400).send({ code: 'REQUEST', message: z.prettifyError(body.error) });
    const { changes } = body.data;
    const result = await plane.changeRecords((store) => changesOf(store, changes));
    return result.ok ? opRows(result.value) : reply.code(STATUS[result.error.code]).send(result.error);
  });

  app.get<{ Params: { kind: string }; Querystring: Properties }>('/v1/records/:kind', async (request, reply) => {
    const { kind } = request.params;
    if (!isRecordKind(kind))
      return reply.code(404).send({ code: 'NO_KIND', message: `records are of kind ${RECORD_KINDS.join(', ')}` });
    const store = plane.records();
    if (!store) return reply.code(409).send(NOT_CONFIGURED);
    return rowsOf(store, kind, { ...request.query }, plane.ageOf?.bind(plane));
  });

  app.get<{ Querystring: { type?: string } }>('/v1/events', async (request, reply) => {
    const { type } = request.query;
    if (type !== undefined && !(NOTICE_TYPES as readonly string[]).includes(type))
      return reply.code(404).send({ code: 'NO_TYPE', message: `events are of type ${NOTICE_TYPES.join(', ')}` });
    reply.hijack();
    const out = reply.raw;
    out.writeHead(200, { 'content-type': 'application/x-ndjson' });
    out.flushHeaders();
    let lost = 0;
    const line = (value: unknown) => out.write(`${JSON.stringify(value)}\n`);
    if (type !== 'learned') line(SAMPLING);
    const end = plane.events.subscribe((notice: Notice) => {
      if (type !== undefined && notice.type !== type) return;
      if (out.writableLength > BACKLOG_BYTES) lost++;
      else {
        if (lost > 0) line({ type: 'lost', events: lost });
        lost = 0;
        line(notice);
      }
    });
    out.on('close', end);
  });
}

export const describedOps = (ops: readonly Op[]) => ({ ops: ops.map((o) => ({ verb: o.verb, text: describeOp(o) })) });

/** Starts to listen. A socket left by a dead process is taken over. */
export async function listen(app: FastifyInstance, socket: string): Promise<void> {
  fs.mkdirSync(path.dirname(socket), { recursive: true });
  fs.rmSync(socket, { force: true });
  const mask = process.umask(0o177);
  try {
    await app.listen({ path: socket });
  } finally {
    process.umask(mask);
  }
}
