/** What the checks of an exchange may ask. Built once in `index.ts`, handed to every check. */
import type { CredentialHasher } from '../../platform/crypto/port.ts'
import type { Database } from '../../platform/db/port.ts'
import type { Ephemera } from '../../platform/ephemera/port.ts'
import type { Tracer } from '../../platform/observe/tracer.ts'
import type { Approvals } from './approvals/approvals.ts'
import type { AuthFailureLimit } from './checks/limit-auth-failures.ts'
import type { ApplicationDefinition, ResourceDefinition, VersionedCache } from './definitions.ts'
import type { Evidence } from './evidence.ts'
import type { Exchange } from './exchange-state.ts'
import type { IssuerKeys } from './federation/issuer-keys.ts'
import type { MintLimit } from './mint-limit.ts'
import type { PolicyBundles } from './policy-bundles.ts'
import type { ProviderCredentials } from './providers/credentials.ts'
import type { RecentExchanges } from './recent-exchanges.ts'
import type { SigningKeys } from './signing-keys.ts'
import type { IssueRecord } from './store/issue-records.ts'
import type { IssueTogether } from './store/issue-together.ts'
import type { ReadSnapshot } from './store/snapshot.ts'

export interface ExchangeDeps {
  /** `iss` and the audience of session and gateway mandates, exactly as configured. */
  readonly issuer: string
  readonly controlAudience: string
  readonly db: Database
  readonly ephemera: Ephemera
  readonly hasher: CredentialHasher
  readonly readSnapshot: ReadSnapshot
  /** `null` where a write cannot prove what was remembered. */
  readonly recent: RecentExchanges | null
  readonly issueRecord: IssueRecord
  /** `null` where record, token registry and evidence do not share a database. */
  readonly issueTogether: IssueTogether | null
  readonly applications: VersionedCache<ApplicationDefinition>
  readonly resources: VersionedCache<ResourceDefinition>
  readonly keys: SigningKeys
  readonly bundles: PolicyBundles
  readonly mintLimit: MintLimit
  readonly authFailures: AuthFailureLimit
  readonly credentials: ProviderCredentials
  readonly approvals: Approvals
  readonly issuerKeys: IssuerKeys
  readonly evidence: Evidence
  /** `null` while nothing is exported. */
  readonly tracer: Tracer | null
  /** Called for every gateway mandate with its compact form. */
  readonly onGatewayMandate: (token: string) => void
  /** Called for every delegation lineage that was judged. */
  readonly onLineageRead: (broken: boolean) => void
  /** Called when the write of a remembered exchange proved, or disproved, what it rests on. */
  readonly onRemembered: (proved: boolean) => void
  /** Called for every policy evaluation with its duration in seconds. */
  readonly onPolicyEvaluated: (seconds: number, failed: boolean) => void
}

/** One step: refuses by throwing, otherwise leaves its finding in the exchange. */
export type Check = (x: Exchange, deps: ExchangeDeps) => void | Promise<void>
