/** Paths of a configuration file to offsets in its text, and to the form that people read. */
import { isMap, isScalar, isSeq, type Node } from 'yaml';
import type { Path } from './error.ts';
import type { YamlText } from './yaml.ts';

const resolved = (text: YamlText, node: unknown): Node | undefined =>
  (text.targets.get(node as Node) ?? (node as Node | null)) || undefined;

function child(text: YamlText, node: Node | undefined, step: string | number): Node | undefined {
  if (isMap(node)) {
    const pair = node.items.find((p) => isScalar(p.key) && p.key.value === step);
    return pair && (resolved(text, pair.value) ?? (pair.key as Node));
  }
  return isSeq(node) && typeof step === 'number' ? resolved(text, node.items[step]) : undefined;
}

/** Start of the deepest node on the path that exists. */
export function offsetOf(text: YamlText, path: Path): number {
  let node = text.root;
  for (const step of path) {
    const next = child(text, node, step);
    if (!next) break;
    node = next;
  }
  return node?.range?.[0] ?? 0;
}

const LABELS = ['Name', 'IsolationName', 'VMName'];
const PLAIN = /^[\w.-]{1,64}$/;

/** What names an item of a list: its name, or an adapter's alias. */
function labelOf(text: YamlText, item: Node | undefined, list: string | number | undefined): string | undefined {
  for (const key of list === 'NetAdapter' ? ['InterfaceAlias'] : LABELS) {
    const name = child(text, item, key);
    if (isScalar(name) && typeof name.value === 'string' && PLAIN.test(name.value)) return name.value;
  }
  return undefined;
}

/** `RoutingDomain[Contoso].NetRoute[0].NextHop`; items with a name go by it. The root is `(file)`. */
export function showPath(text: YamlText, path: Path): string {
  let node = text.root;
  let shown = '';
  path.forEach((step, i) => {
    node = child(text, node, step);
    if (typeof step === 'number') shown += `[${labelOf(text, node, path[i - 1]) ?? step}]`;
    else shown += `${shown && '.'}${PLAIN.test(step) ? step : JSON.stringify(step.slice(0, 60))}`;
  });
  return shown || '(file)';
}
