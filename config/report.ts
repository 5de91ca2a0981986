/** Findings to errors with positions: sorted, each place complained about once. */
import type { ConfigError, Path, Problem } from './error.ts';
import { offsetOf, showPath } from './locate.ts';
import { positions, type YamlText } from './yaml.ts';

export interface Places {
  lineOf(path: Path): number;
  /** Of several problems at one place the first given is kept: callers give the closest reading first. */
  errors(problems: readonly Problem[]): readonly ConfigError[];
}

export function places(file: string, source: string, text: YamlText): Places {
  const at = positions(source);
  const offset = (p: Problem): number => p.offset ?? offsetOf(text, p.path);
  return {
    lineOf: (path) => at(offsetOf(text, path)).line,
    errors(problems) {
      const kept = new Map<string, { readonly offset: number; readonly problem: Problem }>();
      for (const problem of problems) {
        const where = offset(problem);
        // Several keys can be missing at one place; everything else there has one cause.
        const place = problem.code === 'MISSING_KEY' ? `${where} ${problem.path.at(-1)}` : `${where}`;
        if (!kept.has(place)) kept.set(place, { offset: where, problem });
      }
      return [...kept.values()]
        .sort((a, b) => a.offset - b.offset)
        .map(({ offset: where, problem: { code, path, problem, cure } }) => ({
          code,
          file,
          ...at(where),
          path: showPath(text, path),
          problem,
          cure,
        }));
    },
  };
}
