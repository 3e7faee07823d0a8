/** What every operation of the control role works with. Built once by `createControl`. */
import type { Queryable, Tx } from '../../platform/db/port.ts'
import type { EgressGuard } from '../../platform/egress/guarded-fetch.ts'
import type { Platform } from '../../platform/platform.ts'
import type { AuditReceipts } from '../audit/index.ts'
import type { Sts } from '../sts/port.ts'
import type { Guesses } from './guesses.ts'
import type { PlatformTokens } from './platform-token.ts'

export type ControlPlatform = Pick<
  Platform,
  | 'settings'
  | 'db'
  | 'bus'
  | 'ephemera'
  | 'outbox'
  | 'keys'
  | 'cipher'
  | 'secrets'
  | 'hasher'
  | 'log'
  | 'metrics'
> &
  Partial<Pick<Platform, 'tracer'>>

export interface Control extends ControlPlatform {
  /** Every call to an address a tenant may have written goes through it. */
  readonly egress: EgressGuard
  /** Reaches this machine alone, for webhook receivers under development; `null` outside of mode dev. */
  readonly loopback: EgressGuard | null
  /** The policy side of the STS; `null` in a deployment that runs control without any way to ask it. */
  readonly sts: Sts | null
  /** Receipts of audit events; `null` without a KEK. */
  readonly receipts: AuditReceipts | null
  /** Bounds the guesses at service accounts' passwords. */
  readonly logins: Guesses
  /** Login tokens of service accounts. */
  readonly tokens: PlatformTokens
  /** Sends a request to the coordinator's own routes, in this process or over HTTP; `null` where there is none. */
  readonly coordinator: RoleDoor | null
  /** The same for the STS: its public routes, where whoever asks proves themselves as any client does. */
  readonly stsDoor: RoleDoor | null
}

export type RoleDoor = (request: Request) => Response | Promise<Response>

/** What a call's statements may see: a zone, a comma list of zones, or everything (`null`), per row-level security (control-api §12.7). */
export interface Scope {
  readonly zone: string | null
}

/** Runs reads under the row-level security of `scope`; a deployment-wide scope reads on the pool. */
export function reading<T>(
  control: Pick<Control, 'db'>,
  { scope }: { readonly scope: Scope },
  work: (db: Queryable) => Promise<T>,
): Promise<T> {
  if (scope.zone === null) return work(control.db)
  return control.db.transaction((tx) => work(tx), { zone: scope.zone })
}

/** Runs a write in one transaction under the row-level security of `scope`. */
export function writing<T>(
  control: Pick<Control, 'db'>,
  { scope }: { readonly scope: Scope },
  work: (tx: Tx) => Promise<T>,
): Promise<T> {
  return control.db.transaction(work, scope.zone === null ? {} : { zone: scope.zone })
}
