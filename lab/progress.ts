/** What happens, on the screen, each line with the seconds since the start. */

export type Progress = (line: string) => void;

export function progressTo(out: { write(text: string): unknown }): Progress {
  const began = performance.now();
  return (line) => void out.write(`[${((performance.now() - began) / 1000).toFixed(1).padStart(6)} s] ${line}\n`);
}
