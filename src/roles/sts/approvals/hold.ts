/** What a human approval hold is to an exchange (sts §8). */
import type { ApprovalTier } from '../../../policy/index.ts'

/** One declaration that asks for a human before a mint. */
export type ApprovalGate = ApprovalTier

/** An approved hold that this exchange presented. */
export interface ApprovalHold {
  readonly id: string
}
