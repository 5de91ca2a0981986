/** IP protocol numbers (IANA) of what NAT translates with ports. */
export const PROTOCOL_NUMBER = { ICMP: 1, TCP: 6, UDP: 17 } as const;
export type ProtocolName = keyof typeof PROTOCOL_NUMBER;

export const protocolName = (number: number): ProtocolName | `protocol ${number}` =>
  (Object.keys(PROTOCOL_NUMBER) as ProtocolName[]).find((name) => PROTOCOL_NUMBER[name] === number) ??
  `protocol ${number}`;
