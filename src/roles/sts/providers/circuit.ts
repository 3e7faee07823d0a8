/**
 * Gives a failing token endpoint a rest (gateway §25.2): five failures in five minutes
 * close its door for thirty seconds, for all replicas. Bookkeeping that cannot be
 * reached counts as closed circuit: the endpoint itself will answer.
 */
import type { Ephemera } from '../../../platform/ephemera/port.ts'

const failureWindowMs = 5 * 60_000
const openForMs = 30_000
const failuresToOpen = 5

export interface Circuit {
  isOpen(providerId: string): Promise<boolean>
  failed(providerId: string): Promise<void>
  succeeded(providerId: string): Promise<void>
}

export function createCircuit(ephemera: Ephemera): Circuit {
  const failures = (providerId: string) => `provider-refresh-failures:${providerId}`
  const circuit = (providerId: string) => `provider-refresh-circuit:${providerId}`
  return {
    isOpen: async (providerId) => (await ephemera.get(circuit(providerId)).catch(() => null)) !== null,
    async failed(providerId) {
      try {
        const { count } = await ephemera.increment(failures(providerId), failureWindowMs)
        if (count >= failuresToOpen) await ephemera.set(circuit(providerId), 'open', openForMs)
      } catch {
        // Nothing to count with.
      }
    },
    async succeeded(providerId) {
      await Promise.allSettled([ephemera.delete(failures(providerId)), ephemera.delete(circuit(providerId))])
    },
  }
}
