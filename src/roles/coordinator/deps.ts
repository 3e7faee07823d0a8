import type { Platform } from '../../platform/platform.ts'
import type { Sts } from '../sts/port.ts'
import type { ProofDeps } from './subject-proof.ts'

/** What the coordinator is handed. */
export interface CoordinatorDeps
  extends Pick<
    Platform,
    'settings' | 'db' | 'bus' | 'ephemera' | 'outbox' | 'keys' | 'hasher' | 'log' | 'metrics'
  > {
  /** Public keys of zones: the STS itself in one process, its JWKS route otherwise. */
  readonly sts: Pick<Sts, 'zoneKeys'>
}

/** What the domain works with: the deps of the role plus what it made of them at start. */
export interface CoordinatorContext extends CoordinatorDeps {
  readonly proof: ProofDeps
}
