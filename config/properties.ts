/**
 * A policy record as properties by their cmdlet names, as the CLI and the API give it, read by the schema of the YAML: the same
 * forms, defaults and messages. Pure, total.
 */
import type { CustomerRoute, LookupRecord, ProviderAddress, ProviderRoute } from '../compartments/compartment.ts';
import { err, ok, type Result } from '../lib/result.ts';
import { showPath } from './locate.ts';
import { readText } from './read.ts';
import { customerRouteOf, lookupRecordOf, providerAddressOf, providerRouteOf } from './resolve.ts';
import { providerAddress, providerRoute } from './schema/adapter.ts';
import { customerRoute, lookupRecord } from './schema/overlay.ts';
import { parseYaml } from './yaml.ts';

export type Properties = Readonly<Record<string, string>>;

export interface PropertyProblem {
  readonly problem: string; // `MACAddress: the key is missing`
  readonly cure: string;
}

type Read<T> = (properties: Properties) => Result<T, readonly PropertyProblem[]>;

const by =
  <Y, T>(section: Parameters<typeof readText>[0], make: (yaml: Y) => T): Read<T> =>
  (properties) => {
    // JSON is YAML, and the reader keeps every scalar as it was written.
    const text = parseYaml(JSON.stringify(properties));
    const { value, problems } = readText(section, text);
    if (problems.length || !value)
      return err(problems.map((p) => ({ problem: `${showPath(text, p.path)}: ${p.problem}`, cure: p.cure })));
    return ok(make(value as Y));
  };

export const readCustomerRoute: Read<CustomerRoute> = by(customerRoute, customerRouteOf);
export const readLookupRecord: Read<LookupRecord> = by(lookupRecord, lookupRecordOf);
export const readProviderAddress: Read<ProviderAddress> = by(providerAddress, providerAddressOf);
export const readProviderRoute: Read<ProviderRoute> = by(providerRoute, providerRouteOf);
