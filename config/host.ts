/** The file of a host: the same policy records as a gateway's, with ports of VMs in place of compartments. Pure. */
import type { HostConfig } from '../compartments/host.ts';
import { err, ok, type Result } from '../lib/result.ts';
import { defaultCompartment } from './check/addresses.ts';
import { portDevices, sharedNames } from './check/names.ts';
import { overlayPolicy } from './check/policy.ts';
import { unroutable } from './check/provider-paths.ts';
import { vsidOwners } from './check/vsids.ts';
import type { ConfigError } from './error.ts';
import { readText } from './read.ts';
import { places } from './report.ts';
import { defaultCompartmentOf, hostRoutingDomains, type Origins } from './resolve.ts';
import { type HostFile, hostFile } from './schema/roots.ts';
import { parseYaml } from './yaml.ts';

/** @param file the name that errors show; nothing is opened. */
export function loadHost(file: string, text: string): Result<HostConfig, readonly ConfigError[]> {
  const yaml = parseYaml(text);
  const { lineOf, errors } = places(file, text, yaml);
  const { value: doc, problems } = readText(hostFile, yaml);
  if (!doc) return err(errors(problems));
  const origins: Origins = new Map();
  const routingDomains = hostRoutingDomains(doc, origins);
  const others = [
    ...problems,
    ...sharedNames(doc, lineOf),
    ...portDevices(doc, lineOf),
    ...vsidOwners(doc, lineOf),
    ...defaultCompartment(doc, lineOf),
    ...overlayPolicy(routingDomains, origins),
  ];
  const found = errors([...others, ...unroutable(doc, routingDomains, origins, others)]);
  if (found.length) return err(found);
  const whole = doc as HostFile;
  return ok({ host: whole.Host, ...defaultCompartmentOf(whole), routingDomains });
}
