/**
 * The tokens the back end of a v1 console derives from the admin token of the environment, each weaker than that
 * (control-api §3.2). They act for an account only (account-assertion.ts), which again takes the admin token.
 */
import { createHmac } from 'node:crypto'
import type { Capability } from './principal.ts'

export interface SeededToken {
  readonly name: string
  readonly token: string
  readonly capability: Capability
  /** Also tells, in the row, what a token was seeded as. */
  readonly createdBy: string
}

export const BOOTSTRAP = 'env-bootstrap'
const DERIVED = 'env-derived'

const derive = (adminToken: string, label: string): string =>
  `cat_${createHmac('sha256', adminToken).update(label).digest('base64url')}`

/** Every token that follows from `CARACAL_ADMIN_TOKEN`, itself first. */
export function seededTokens(adminToken: string): readonly SeededToken[] {
  return [
    { name: 'bootstrap', token: adminToken, capability: 'write', createdBy: BOOTSTRAP },
    {
      name: 'console-read-only',
      token: derive(adminToken, 'caracal:console:read-only:v1'),
      capability: 'read',
      createdBy: DERIVED,
    },
    {
      name: 'console-write',
      token: derive(adminToken, 'caracal:console:write:v1'),
      capability: 'write',
      createdBy: `${DERIVED}-write`,
    },
    {
      name: 'console-approve',
      token: derive(adminToken, 'caracal:console:approve:v1'),
      capability: 'approve',
      createdBy: `${DERIVED}-approve`,
    },
  ]
}

export const isDerived = (createdBy: string): boolean => createdBy.startsWith(DERIVED)
