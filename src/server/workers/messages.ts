/** What the primary and its workers tell each other. Everything here passes through JSON. */
import type { Environment } from '../../config/load.ts'
import type { RoleName } from '../../config/roles.ts'
import type { EmbeddedConnection } from '../../platform/embedded/port.ts'
import type { Exposition } from '../merge-metrics.ts'

/** What a worker needs to be one. Its environment carries secrets, so it never travels in argv. */
export interface Place {
  /** 1-based, and kept by the worker that follows one that died. */
  readonly number: number
  readonly env: Environment
  readonly roles: readonly RoleName[]
  readonly cwd: string
  /** The embedded store of the primary; `null` with a configured one. */
  readonly connection: EmbeddedConnection | null
}

export interface Address {
  readonly port: number
  readonly url: string
}

export type ToWorker =
  | { readonly kind: 'start'; readonly place: Place }
  | { readonly kind: 'stop' }
  /** Another worker was asked for the metrics of a listener. */
  | { readonly kind: 'measure'; readonly id: number; readonly listener: string }
  | { readonly kind: 'measured'; readonly id: number; readonly expositions: readonly Exposition[] }

export type ToPrimary =
  | { readonly kind: 'online' }
  | { readonly kind: 'ready'; readonly listeners: Readonly<Record<string, Address>> }
  | { readonly kind: 'failed'; readonly problems: readonly string[] }
  | { readonly kind: 'measure'; readonly id: number; readonly listener: string }
  | { readonly kind: 'measured'; readonly id: number; readonly text: string }
