/** What defaults and requirements of variables depend on. */

import type { Situation } from '../kinds.ts'
import type { RoleName } from '../roles.ts'

export const published = (situation: Situation): boolean => situation.mode !== 'dev'

export const has = (situation: Situation, ...roles: readonly RoleName[]): boolean =>
  roles.some((role) => situation.roles.includes(role))

/** URL of a role: known when it runs here or in dev, required otherwise. */
export const roleUrl =
  (role: RoleName) =>
  (situation: Situation): string | null =>
    has(situation, role) || situation.mode === 'dev' ? `http://localhost:${situation.port(role)}` : null
