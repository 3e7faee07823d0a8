/**
 * The one use of a presented mandate while nobody has claimed it (gateway §7): the write of its exchange
 * claims it in passing, or it is claimed for itself before anything else is read or written.
 */
import type { ClaimOutcome, OneUse, ReplayMemory } from '../../platform/ephemera/port.ts'
import { UseNotClaimed } from './port.ts'

export interface PendingUse {
  /** What a statement is to claim; `null` once that is done. */
  readonly use: OneUse | null
  /** What became of the claim that a statement made. */
  claimed(outcome: ClaimOutcome): void
  /** Claims it now unless that is done. Rejects with `UseNotClaimed`. */
  claim(): Promise<void>
}

/** `null` where no statement can make the claim, or one would be refused. */
export function pendingUse(memory: ReplayMemory, use: OneUse): PendingUse | null {
  const { inPassing } = memory
  if (!inPassing?.mayBeFresh(use.key)) return null
  let left: OneUse | null = use
  return {
    get use() {
      return left
    },
    claimed(outcome) {
      left = null
      inPassing.made(use, outcome)
    },
    async claim() {
      if (left === null) return
      const { key, value, ttlMs, issuedAt } = use
      const outcome = await memory.claim(key, value, ttlMs, issuedAt).catch((error: unknown) => {
        throw new UseNotClaimed('unknown', error)
      })
      left = null
      if (outcome !== 'fresh') throw new UseNotClaimed(outcome)
    },
  }
}
