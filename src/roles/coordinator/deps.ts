import type { AdminAudit } from '../../platform/admin-audit/gate.ts'
import type { MandateVerifier } from '../../platform/jose/mandate-verifier.ts'
import type { Platform } from '../../platform/platform.ts'
import type { Sts } from '../sts/port.ts'
import type { SessionChanges } from './change-queue.ts'
import type { Counts } from './counts.ts'
import type { ReceiptCounts } from './receipt-counts.ts'
import type { IsLive } from './store/live-identities.ts'

/** What the coordinator is handed. */
export interface CoordinatorDeps
  extends Pick<Platform, 'settings' | 'db' | 'bus' | 'ephemera' | 'outbox' | 'keys' | 'log' | 'metrics'>,
    Partial<Pick<Platform, 'tracer'>> {
  /** Public keys of zones: the STS itself in one process, its JWKS route otherwise. */
  readonly sts: Pick<Sts, 'zoneKeys'>
}

/** What the domain works with: the deps of the role plus what it made of them at start. */
export interface CoordinatorContext extends CoordinatorDeps {
  readonly verifier: MandateVerifier
  readonly isLive: IsLive
  /** `ISSUER_URL`: issuer and audience of every session mandate. */
  readonly issuer: string
  /** `AGENT_COORDINATOR_SCOPE` */
  readonly requiredScope: string
  readonly adminAudit: AdminAudit
  readonly counts: Counts
  readonly receiptCounts: ReceiptCounts
  readonly changes: SessionChanges
}
