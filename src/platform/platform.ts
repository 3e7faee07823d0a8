/**
 * Everything a role stands on, opened once by `server/` and handed down. A role
 * takes the members it uses (`Pick<Platform, …>`) and never looks elsewhere.
 */
import type { Logger } from 'pino'
import type { Registry } from 'prom-client'
import type { Settings } from '../config/env.ts'
import type { Bus } from './bus/port.ts'
import type { CredentialHasher, EnvelopeCipher, SecretStore } from './crypto/port.ts'
import type { Database } from './db/port.ts'
import type { Ephemera } from './ephemera/port.ts'
import type { KeyRing } from './keys.ts'
import type { Tracer } from './observe/tracer.ts'
import type { Outbox } from './outbox/port.ts'

export interface Platform {
  readonly settings: Settings
  readonly db: Database
  readonly bus: Bus
  readonly ephemera: Ephemera
  readonly outbox: Outbox
  readonly keys: KeyRing
  /** Only where a KEK is configured (sts, control); other roles hold `null`. */
  readonly cipher: EnvelopeCipher | null
  readonly secrets: SecretStore
  readonly hasher: CredentialHasher
  /** Child logger with `service` set to the role. */
  readonly log: Logger
  /** The role's own registry: `/metrics` of one role shows that role. */
  readonly metrics: Registry
  /** Spans of the role; `null` while nothing is exported. */
  readonly tracer: Tracer | null
}
