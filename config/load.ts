/**
 * The file of a gateway: text in, configuration or all its errors out (R-OPS-1). Pure; secrets come through `readSecret`, which
 * is given the path as the file has it.
 */
import type { GatewayConfig } from '../compartments/compartment.ts';
import { err, ok, type Result } from '../lib/result.ts';
import { defaultCompartment } from './check/addresses.ts';
import { compartmentNames, sharedNames } from './check/names.ts';
import { natProblems } from './check/nat.ts';
import { overlayPolicy } from './check/policy.ts';
import { unroutable } from './check/provider-paths.ts';
import { compartmentRoutes } from './check/routes.ts';
import { tunnelProblems } from './check/s2s.ts';
import { type ReadSecret, readSecrets } from './check/secrets.ts';
import { vsidOwners } from './check/vsids.ts';
import type { ConfigError } from './error.ts';
import { readText } from './read.ts';
import { places } from './report.ts';
import { compartments, defaultCompartmentOf, type Origins } from './resolve.ts';
import { netNatsOf } from './resolve-nat.ts';
import { type GatewayFile, gatewayFile } from './schema/roots.ts';
import { parseYaml } from './yaml.ts';

/** @param file the name that errors show; nothing is opened. */
export function loadGateway(
  file: string,
  text: string,
  readSecret: ReadSecret,
): Result<GatewayConfig, readonly ConfigError[]> {
  const yaml = parseYaml(text);
  const { lineOf, errors } = places(file, text, yaml);
  const { value: doc, problems } = readText(gatewayFile, yaml);
  if (!doc) return err(errors(problems));
  const origins: Origins = new Map();
  const secrets = readSecrets(doc, readSecret);
  const domains = compartments(doc, secrets.secretOf, origins);
  const others = [
    ...problems,
    ...sharedNames(doc, lineOf),
    ...compartmentNames(doc, lineOf),
    ...vsidOwners(doc, lineOf),
    ...defaultCompartment(doc, lineOf),
    ...compartmentRoutes(doc, lineOf),
    ...tunnelProblems(doc, lineOf),
    ...natProblems(doc, lineOf),
    ...secrets.problems,
    ...overlayPolicy(domains, origins),
  ];
  const found = errors([...others, ...unroutable(doc, domains, origins, others)]);
  if (found.length) return err(found);
  const whole = doc as GatewayFile;
  return ok({ gateway: whole.Gateway, ...defaultCompartmentOf(whole), compartments: domains, ...netNatsOf(whole) });
}
