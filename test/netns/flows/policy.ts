/** What the chapter's packet flows have in common: Contoso1 and Contoso2, and where the second one is. */
import { type CustomerRoute, type Host, recordOf, type Scenario, type Vm } from './cloud.ts';

export const onLink = (vsid: number, prefix: string): CustomerRoute => ({
  VirtualSubnetID: vsid,
  DestinationPrefix: prefix,
  NextHop: '0.0.0.0',
});

/** The flows' first machine, always on the first host. */
export const FIRST: Vm = { number: 1, host: 'host1', address: '10.0.0.5', mac: '10:10:10:10:10:05', vsid: 5001 };

/** Beside the second machine, in its virtual subnet; Woodgrove has none, so its address must lead nowhere there. */
const third = (second: Vm): Vm => ({
  ...second,
  number: 3,
  address: second.address.replace(/\d+$/, '9'),
  mac: '10:10:10:10:10:09',
  only: 'Contoso',
});

/** Contoso1 and Contoso2 of figures 1-7, 1-8, 1-9 and 1-11. */
export function pairOf(host: Host, address: string, vsid: number): { second: Vm; lonely: Vm; scenario: Scenario } {
  const second: Vm = { number: 2, host, address, mac: '10:10:10:10:10:07', vsid };
  const lonely = third(second);
  const vms = [FIRST, second, lonely];
  return {
    second,
    lonely,
    scenario: {
      vms,
      customerRoutes: [onLink(5001, '10.0.0.0/24'), ...(vsid === 5001 ? [] : [onLink(vsid, '10.0.1.0/24')])],
      lookupRecords: vms.map(recordOf),
    },
  };
}
