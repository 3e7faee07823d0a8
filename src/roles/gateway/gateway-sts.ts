import type { Sts } from '../sts/port.ts'

/** What the gateway asks of the STS. */
export type GatewaySts = Pick<
  Sts,
  'exchangeForGateway' | 'exchangeOnce' | 'readAhead' | 'signedHere' | 'zoneKeys' | 'ping'
>
