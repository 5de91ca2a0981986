/** VpnS2SInterface: names, ranges and defaults of the cmdlet's parameters, where this version serves them (R-S2S-1 … 5). */
import { z } from 'zod';
import { field, section } from './field.ts';
import {
  address,
  boolean,
  fileName,
  integer,
  integerOf,
  interfaceName,
  oneOf,
  secretText,
  subnetMetric,
} from './values.ts';

/** Shortest shared secret, characters. */
export const MIN_SECRET = 8;

export const secretFile = section(
  {
    title: 'SharedSecret',
    description: 'In place of the text itself: the file that holds it. One line break at its end does not count.',
    hidden: true,
  },
  { File: field({ description: 'Path of the file.' }, fileName()) },
);

const lifeTime = () => integer(300, 17_279_999);

export const vpnS2SInterface = section(
  {
    title: 'VpnS2SInterface',
    description: 'A site-to-site tunnel of the routing domain: IKEv2 with a pre-shared key.',
    notServed: [
      'NumberOfTries',
      'AuthenticationTransformConstants',
      'AutoConnectEnabled',
      'Certificate',
      'CipherTransformConstants',
      'CustomPolicy',
      'DHGroup',
      'EapMethod',
      'EnableQoS',
      'EncryptionMethod',
      'EncryptionType',
      'GreKey',
      'GreTunnel',
      'IPv4Address',
      'IPv4TriggerFilter',
      'IPv4TriggerFilterAction',
      'IPv6Address',
      'IPv6TriggerFilter',
      'IPv6TriggerFilterAction',
      'IdleDisconnectSeconds',
      'InitiateConfigPayload',
      'IntegrityCheckMethod',
      'InternalIPv4',
      'InternalIPv6',
      'LocalVpnTrafficSelector',
      'Password',
      'PfsGroup',
      'PostConnectionIPv4Subnet',
      'PostConnectionIPv6Subnet',
      'PromoteAlternate',
      'RadiusAttributeClass',
      'RemoteVpnTrafficSelector',
      'ResponderAuthenticationMethod',
      'RxBandwidthKbps',
      'SADataSizeForRenegotiationKilobytes',
      'TxBandwidthKbps',
      'UserName',
    ],
  },
  {
    Name: field(
      {
        description: 'Name of the tunnel and of its interface in the compartment; unique on the gateway.',
        aliases: ['ElementName'],
      },
      interfaceName(),
    ),
    Protocol: field(
      { description: 'The key exchange.', aliases: ['KeyModule'] },
      oneOf(['IKEv2'], ['L2TP', 'SSTP', 'Automatic', 'GRE']).default('IKEv2'),
    ),
    Destination: field(
      {
        description:
          'Address of the site. The tenant of a caller is known by it: one enabled interface per destination on the whole gateway.',
        aliases: ['RemoteTunnelEndpoint', 'RemoteTunnelHostname', 'RemoteAddress'],
      },
      address(),
    ),
    SourceIpAddress: field(
      {
        description: 'Our own outer address: the `IPAddress` of an adapter with the role External.',
        otherwise: 'chosen by the routes',
      },
      address().optional(),
    ),
    AdminStatus: field(
      { description: 'false: the interface exists, but dials nobody and accepts nobody.' },
      boolean().default(true),
    ),
    AuthenticationMethod: field(
      { description: 'How the sides prove who they are: a pre-shared key.' },
      oneOf(['PSKOnly'], ['EAP', 'MachineCertificates', 'MSCHAPv2']),
    ),
    SharedSecret: field(
      { description: `The pre-shared key, at least ${MIN_SECRET} characters: the text, or \`{ File: path }\`.` },
      z.union([secretText(), secretFile]),
    ),
    IPv4Subnet: field(
      {
        description:
          'Prefixes behind the site, `prefix/length:metric`; routes while the tunnel is up. The metric may be left out (256).',
        aliases: ['IPv4TriggerSubnet'],
      },
      z.array(subnetMetric(4)).default([]),
    ),
    IPv6Subnet: field(
      { description: 'The same for IPv6; the metric follows the last colon.', aliases: ['IPv6TriggerSubnet'] },
      z.array(subnetMetric(6)).default([]),
    ),
    Persistent: field(
      {
        description:
          'true: the gateway dials the site, for as long as it takes, and keeps the tunnel up. false: it waits for the site to dial.',
      },
      boolean().default(false),
    ),
    RetryIntervalSeconds: field(
      { description: 'Pause between attempts.', unit: 's', aliases: ['RetryIntervalSec'] },
      integer(1, 86_400).default(60),
    ),
    NetworkOutageTimeSeconds: field(
      {
        description: 'A peer that is silent for this time counts as dead.',
        unit: 's',
        aliases: ['NetworkOutageTimeSec'],
      },
      integerOf([3, 6, 9, 12, 15, 30, 60, 120, 240, 360, 720, 900]).default(15),
    ),
    SALifeTimeSeconds: field(
      {
        description: 'Life time of the IPsec keys (phase 2).',
        unit: 's',
        aliases: ['SaLifeTimeSec', 'LifeTimeSeconds', 'QMSALifeTimeSeconds'],
      },
      lifeTime().default(3600),
    ),
    MMSALifeTimeSeconds: field(
      { description: 'Life time of the IKE keys (phase 1).', unit: 's', aliases: ['MMSaLifeTimeSec'] },
      lifeTime().default(28_800),
    ),
  },
);
