/** The NAT's part of the API: what `hnvgw nat` asks. JSON out. */
import type { FastifyInstance } from 'fastify';
import { slotOf } from '../../compartments/slots.ts';
import { parseEndpoint, parseTime } from '../../nat/who.ts';
import type { Running } from '../running.ts';
import { NAT_NOUNS, type NatNoun, type NatReadings } from './nat-readings.ts';

const LIMIT = 1000;
const NOT_CONFIGURED = { code: 'NOT_CONFIGURED', message: 'the gateway has no configuration yet' };

interface Query {
  readonly routingDomain?: string;
  readonly limit?: string;
}

export function serveNat(app: FastifyInstance, running: () => Running | undefined, read: NatReadings): void {
  app.get<{ Params: { noun: string }; Querystring: Query }>('/v1/nat/:noun', async (request, reply) => {
    const { noun } = request.params;
    if (!(NAT_NOUNS as readonly string[]).includes(noun))
      return reply.code(404).send({ code: 'NO_NOUN', message: `nat knows ${NAT_NOUNS.join(', ')}, who` });
    const now = running();
    if (!now) return reply.code(409).send(NOT_CONFIGURED);
    const { routingDomain, limit = String(LIMIT) } = request.query;
    if (!/^\d{1,7}$/.test(limit)) return reply.code(400).send({ code: 'REQUEST', message: 'limit is a number' });
    const tenant = now.config.compartments.find((c) => c.routingDomain === routingDomain);
    if (routingDomain !== undefined && !tenant)
      return reply.code(404).send({ code: 'NO_ROUTING_DOMAIN', message: `no routing domain ${routingDomain}` });
    return read.list(noun as NatNoun, now, {
      limit: Number(limit),
      ...(tenant && { slot: slotOf(now.table, tenant.routingDomainId) }),
    });
  });

  app.get<{ Querystring: { endpoint?: string; at?: string } }>('/v1/nat/who', async (request, reply) => {
    const endpoint = parseEndpoint(request.query.endpoint ?? '');
    if (!endpoint.ok) return reply.code(400).send({ code: 'REQUEST', message: endpoint.error });
    const at = request.query.at === undefined ? undefined : parseTime(request.query.at);
    if (at && !at.ok) return reply.code(400).send({ code: 'REQUEST', message: at.error });
    return read.who({ ...endpoint.value, at: at?.value ?? Date.now() });
  });
}
