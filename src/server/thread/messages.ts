/** What a thread of roles and the server it belongs to tell each other. Everything here survives a structured clone. */
import type { Settings } from '../../config/env.ts'
import type { EmbeddedConnection } from '../../platform/embedded/port.ts'
import type { Address } from '../workers/messages.ts'

export type ToThread =
  /** The store is open and its schema is current. */
  | { readonly kind: 'start'; readonly settings: Settings; readonly connection: EmbeddedConnection | null }
  /** It is the turn of its listeners. */
  | { readonly kind: 'listen' }
  | { readonly kind: 'stop'; readonly budgetMs: number }

export type FromThread =
  /** A line of its log, to be written where those of the process go. */
  | { readonly kind: 'line'; readonly line: string }
  | { readonly kind: 'ready'; readonly listeners: Readonly<Record<string, Address>> }
  | { readonly kind: 'refused'; readonly name: string; readonly message: string }
  | { readonly kind: 'stopped'; readonly failures: readonly string[] }
