/** What the lab needs of a machine: run a command, read and write files. A guest is one; so is this computer, in tests. */

export interface Done {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ExecOptions {
  readonly stdin?: string;
  readonly timeoutMs?: number;
}

export interface Machine {
  exec(argv: readonly string[], options?: ExecOptions): Promise<Done>;
  read(path: string): Promise<Uint8Array>;
  write(path: string, data: string | Uint8Array): Promise<void>;
}

/** Standard output of a command that must succeed. */
export async function must(machine: Machine, argv: readonly string[], options?: ExecOptions): Promise<string> {
  const done = await machine.exec(argv, options);
  if (done.code === 0) return done.stdout;
  const said = `${done.stderr}${done.stdout}`.trim().split('\n').slice(-5).join('\n');
  throw new Error(`${argv.join(' ').slice(0, 160)}: exit ${done.code}: ${said}`);
}

export const pause = (ms: number): Promise<void> => new Promise((r) => setTimeout(r, ms));

/** Asks again until the answer is not undefined; throws `what` with the last reason after the deadline. */
export async function until<T>(what: string, ms: number, ask: () => Promise<T | undefined>): Promise<T> {
  const deadline = Date.now() + ms;
  let wait = 50;
  let reason = '';
  for (;;) {
    try {
      const answer = await ask();
      if (answer !== undefined) return answer;
    } catch (e) {
      reason = `: ${(e as Error).message}`;
    }
    if (Date.now() > deadline) throw new Error(`waited ${ms / 1000} s for: ${what}${reason}`);
    // Asking costs the emulated machine what it needs to get there: less and less often.
    await pause(wait);
    wait = Math.min(wait * 1.6, 1000);
  }
}
