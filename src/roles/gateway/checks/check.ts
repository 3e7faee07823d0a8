/** One numbered step of the pipeline: refuses with a denial, or lets the call pass with what it learned. */

import type { Ephemera } from '../../../platform/ephemera/port.ts'
import type { Platform } from '../../../platform/platform.ts'
import type { AuditSink } from '../../audit/index.ts'
import type { Call } from '../call.ts'
import type { CircuitBreaker } from '../circuit-breaker.ts'
import type { Counters } from '../counters.ts'
import type { Denial } from '../denial.ts'
import type { GatewaySts } from '../gateway-sts.ts'
import type { Durations } from '../metrics.ts'
import type { AddressGuard } from '../proxy/resolve.ts'
import type { RateLimits } from '../rate-limits.ts'
import type { RevocationSet } from '../revocations/set.ts'
import type { Snapshot } from '../revocations/snapshot.ts'
import type { GatewaySettings } from '../settings.ts'
import type { VerifiedMandates } from '../verified-mandates.ts'
import type { ZoneKeys } from '../zone-keys.ts'

/** What the steps stand on; made once per gateway. */
export interface Ground {
  readonly settings: GatewaySettings
  readonly counters: Counters
  readonly revocations: RevocationSet
  readonly snapshot: Snapshot
  readonly zoneKeys: ZoneKeys
  readonly verified: VerifiedMandates
  readonly ephemera: Ephemera
  readonly limits: RateLimits
  readonly sts: GatewaySts
  readonly breaker: CircuitBreaker
  readonly guard: AddressGuard
  readonly audit: AuditSink
  readonly durations: Durations
  readonly log: Platform['log']
  /** `null` while nothing is exported. */
  readonly tracer: Platform['tracer']
}

export type Verdict = Denial | null
export type Check = (call: Call, ground: Ground) => Verdict | Promise<Verdict>
