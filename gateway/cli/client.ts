/** One request to the gateway's API on its UNIX socket. */
// Importing node:http as an ES module evaluates all of its exports, and with them undici: most of the start-up time of a command.
const http = process.getBuiltinModule('node:http');

export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/** Rejects with a message for people when nobody listens. */
export function request(socketPath: string, method: 'GET' | 'POST', path: string, body?: unknown): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = http.request(
      { socketPath, method, path, headers: body === undefined ? {} : { 'content-type': 'application/json' } },
      (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on('data', (c: Buffer) => chunks.push(c));
        incoming.on('error', reject);
        incoming.on('end', () => {
          try {
            resolve({ status: incoming.statusCode ?? 0, body: JSON.parse(Buffer.concat(chunks).toString('utf8')) });
          } catch {
            reject(new Error(`the gateway's answer to ${method} ${path} is not JSON`));
          }
        });
      },
    );
    outgoing.on('error', (e: NodeJS.ErrnoException) =>
      reject(
        e.code === 'ENOENT' || e.code === 'ECONNREFUSED'
          ? new Error(`no gateway listens on ${socketPath}: is hnv-gateway.service running?`)
          : e,
      ),
    );
    outgoing.end(body === undefined ? undefined : JSON.stringify(body));
  });
}
