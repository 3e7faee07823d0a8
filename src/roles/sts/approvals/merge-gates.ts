/** The gates of all resources of one request become one hold (sts §8.3). */
import { accessDenied } from '../refusal.ts'
import type { ApprovalGate, ApproverClass, PrivacyMode } from './hold.ts'

export interface HoldTerms {
  /** Distinct tiers, sorted, joined with `,`. */
  readonly tier: string
  readonly approverClass: ApproverClass
  readonly privacyMode: PrivacyMode
  readonly ttlSeconds: number
}

const privacyOrder: readonly PrivacyMode[] = ['identified', 'pseudonymous', 'anonymous']
const floorSeconds = 60

interface Window {
  readonly fallback: number
  readonly ceiling: number
}
const operatorWindow: Window = { fallback: 4 * 3600, ceiling: 7 * 24 * 3600 }
const subjectWindow: Window = { fallback: 15 * 60, ceiling: 24 * 3600 }

/** `null` when operator and subject approval are both demanded: one mint cannot have both. */
export function mergeGates(gates: readonly ApprovalGate[]): HoldTerms | null {
  const classes = new Set(gates.map((gate) => gate.approver ?? 'operator'))
  if (classes.has('operator') && classes.has('subject')) return null
  const approverClass = classes.has('operator') ? 'operator' : classes.has('subject') ? 'subject' : 'any'
  const window = approverClass === 'operator' ? operatorWindow : subjectWindow
  const declared = gates.flatMap((gate) => (gate.ttl_seconds === undefined ? [] : [gate.ttl_seconds]))
  const ttl = declared.length === 0 ? window.fallback : Math.min(...declared)
  return {
    tier: [...new Set(gates.map((gate) => gate.tier))].sort().join(','),
    approverClass,
    privacyMode: strongest(gates),
    ttlSeconds: Math.min(Math.max(Math.floor(ttl), floorSeconds), window.ceiling),
  }
}

function strongest(gates: readonly ApprovalGate[]): PrivacyMode {
  const ranks = gates.map((gate) => privacyOrder.indexOf(gate.privacy ?? 'identified'))
  return privacyOrder[Math.max(0, ...ranks)] ?? 'anonymous'
}

export function classConflict() {
  return accessDenied('operator and subject approval cannot be combined in one mint')
}
