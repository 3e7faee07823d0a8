/** Gauges and counters of control (control-api §2.8). The outbox is asked once per scrape. */
import { Counter, Gauge } from 'prom-client'
import type { SecretStore } from '../../platform/crypto/port.ts'
import type { Control } from './control.ts'
import { type OutboxBacklog, outboxBacklog } from './store/outbox-status.ts'

const gauges: readonly {
  readonly name: string
  readonly help: string
  readonly of: (b: OutboxBacklog) => number
}[] = [
  {
    name: 'caracal_api_outbox_pending_total',
    help: 'Outbox rows waiting to be published',
    of: (b) => b.pending,
  },
  { name: 'caracal_api_outbox_dead_total', help: 'Outbox rows that were given up', of: (b) => b.dead },
  {
    name: 'caracal_api_outbox_oldest_pending_age_seconds',
    help: 'Age of the oldest waiting outbox row',
    of: (b) => b.oldestPendingSeconds,
  },
  {
    name: 'caracal_api_outbox_oldest_dead_age_seconds',
    help: 'Age of the oldest dead outbox row',
    of: (b) => b.oldestDeadSeconds,
  },
]

/** Registers the gauges on the role's registry. A store that cannot be asked leaves the last values standing. */
export function registerControlMetrics(control: Control): void {
  let asking: Promise<OutboxBacklog> | null = null
  const backlog = (): Promise<OutboxBacklog> => {
    asking ??= outboxBacklog(control.db).finally(() => {
      asking = null
    })
    return asking
  }
  for (const { name, help, of } of gauges) {
    new Gauge({
      name,
      help,
      registers: [control.metrics],
      async collect() {
        try {
          this.set(of(await backlog()))
        } catch (error) {
          control.log.debug({ err: error }, 'outbox_metrics_unavailable')
        }
      },
    })
  }
}

/** The store, with what it was asked and what it failed at counted on the role's registry. */
export function countSecretStore(store: SecretStore, metrics: Control['metrics']): SecretStore {
  const operations = new Counter({
    name: 'caracal_secret_backend_operations_total',
    help: 'Secrets written, read and deleted',
    registers: [metrics],
  })
  const errors = new Counter({
    name: 'caracal_secret_backend_errors_total',
    help: 'Secrets that could not be written, read or deleted',
    registers: [metrics],
  })
  const counted = <T>(work: Promise<T>): Promise<T> => {
    operations.inc()
    return work.catch((error: unknown) => {
      errors.inc()
      throw error
    })
  }
  return {
    put: (db, ref, value) => counted(store.put(db, ref, value)),
    get: (db, ref) => counted(store.get(db, ref)),
    delete: (db, ref) => counted(store.delete(db, ref)),
  }
}
