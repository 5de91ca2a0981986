/** What is attached to a device's hooks, seen past the hands. */
import { attached, type Direction, detach, type Hook } from '../../kernel/bpf/tcx.ts';
import { Namespaces } from '../../kernel/namespaces.ts';

function at<T>(netns: string, device: string, direction: Direction, work: (hook: Hook) => T): T {
  const namespaces = new Namespaces({ home: netns });
  try {
    const { index } = namespaces.existing('', device);
    return namespaces.visit('', () => work({ index, direction }));
  } finally {
    namespaces.closeAll();
  }
}

/** Names of the programs in the order in which they are called. `netns`: its file. */
export const programsOn = (netns: string, device: string, direction: Direction = 'ingress'): readonly string[] =>
  at(netns, device, direction, (hook) => attached(hook).map((p) => p.name));

/** Takes all of them away, as an operator would. */
export const detachAll = (netns: string, device: string, direction: Direction = 'ingress'): void =>
  at(netns, device, direction, (hook) => {
    for (const { id } of attached(hook)) detach(id, hook);
  });
