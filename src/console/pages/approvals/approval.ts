/** A hold on a mandate until somebody decides. */
import type { Tone } from '../../ui/basics.tsx'

export const states = ['pending', 'approved', 'rejected', 'expired', 'consumed'] as const
export type ApprovalState = (typeof states)[number]

export interface Approval {
  readonly id: string
  readonly principal_id: string | null
  readonly principal_federated: boolean
  readonly application_id: string | null
  readonly tier: string | null
  readonly approver_class: 'operator' | 'subject' | 'any'
  readonly privacy_mode: string
  readonly subject_anchor: string | null
  readonly binding: string | null
  readonly metadata_json: Readonly<Record<string, unknown>>
  readonly decision_reason: string | null
  readonly created_at: string
  readonly expires_at: string
  readonly satisfied_at: string | null
  readonly rejected_at: string | null
  readonly consumed_at: string | null
  readonly approver_subject_id: string | null
  readonly prior_approved: number
  readonly prior_rejected: number
  readonly state: ApprovalState
}

export const tones: Readonly<Record<ApprovalState, Tone>> = {
  pending: 'warn',
  approved: 'ok',
  consumed: 'ok',
  rejected: 'bad',
  expired: 'idle',
}

export const classNames: Readonly<Record<Approval['approver_class'], string>> = {
  operator: 'operator',
  subject: 'the user',
  any: 'operator or the user',
}

const textsIn = (value: unknown): readonly string[] =>
  Array.isArray(value) ? value.filter((one) => typeof one === 'string') : []

export const scopesOf = ({ metadata_json }: Approval) => textsIn(metadata_json.requested_scopes)
export const resourcesOf = ({ metadata_json }: Approval) => textsIn(metadata_json.resources)
export const labelsOf = ({ metadata_json }: Approval) => textsIn(metadata_json.agent_labels)
