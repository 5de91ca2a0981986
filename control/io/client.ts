/** Requests to the API of the gateway or of the host agent on its UNIX socket. */
import readline from 'node:readline';

// Importing node:http as an ES module evaluates all of its exports, and with them undici: most of the start-up time of a command.
const http = process.getBuiltinModule('node:http');

export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/** Whom the socket belongs to, for messages: `gateway`, `hnv-gateway.service`. */
export interface Service {
  readonly socket: string;
  readonly name: string;
  readonly unit: string;
}

type Method = 'GET' | 'POST';

const explained = ({ socket, name, unit }: Service, e: NodeJS.ErrnoException): Error =>
  e.code === 'ENOENT' || e.code === 'ECONNREFUSED'
    ? new Error(`no ${name} listens on ${socket}: is ${unit} running?`)
    : e;

/** Rejects with a message for people when nobody listens. */
export function request(service: Service, method: Method, path: string, body?: unknown): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = body === undefined ? {} : { 'content-type': 'application/json' };
    const outgoing = http.request({ socketPath: service.socket, method, path, headers }, (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on('data', (c: Buffer) => chunks.push(c));
      incoming.on('error', reject);
      incoming.on('end', () => {
        try {
          resolve({ status: incoming.statusCode ?? 0, body: JSON.parse(Buffer.concat(chunks).toString('utf8')) });
        } catch {
          reject(new Error(`the ${service.name}'s answer to ${method} ${path} is not JSON`));
        }
      });
    });
    outgoing.on('error', (e: NodeJS.ErrnoException) => reject(explained(service, e)));
    outgoing.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

/** JSON lines as they come; resolves when the other side ends them. */
export function follow(service: Service, path: string, line: (value: unknown) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const outgoing = http.request({ socketPath: service.socket, path }, (incoming) => {
      if (incoming.statusCode !== 200) {
        incoming.resume();
        reject(new Error(`the ${service.name} answered ${incoming.statusCode} to ${path}`));
        return;
      }
      const lines = readline.createInterface({ input: incoming });
      lines.on('line', (text) => line(JSON.parse(text)));
      lines.on('close', resolve);
      incoming.on('error', () => resolve());
    });
    outgoing.on('error', (e: NodeJS.ErrnoException) => reject(explained(service, e)));
    outgoing.end();
  });
}
