/**
 * Row security does not bind a superuser or a role with BYPASSRLS. Before the pool opens, this
 * decides as which role it runs, or that it must not run at all (storage-and-operations §4).
 */
import type postgres from 'postgres'

/** The role of a deployment whose one login is more powerful than the server should be; made by the migrations. */
export const APP_ROLE = 'caracal_app'

export interface SessionRoleRules {
  readonly mode: 'dev' | 'rc' | 'stable'
  readonly allowBypass: boolean
}

export type SessionRole =
  /** `role` is what the pool's connections become; null = they stay what the login is. */
  { readonly role: string | null; readonly warning: string | null }

/** The login may not be used as it is; the message says what to do. */
export class LoginBypassesRowSecurity extends Error {
  override readonly name = 'LoginBypassesRowSecurity'
}

/** Rejects with `LoginBypassesRowSecurity` when the login bypasses row security and may not. */
export async function decideSessionRole(sql: postgres.Sql, rules: SessionRoleRules): Promise<SessionRole> {
  const [login] = await sql<
    { name: string; bypasses: boolean; superuser: boolean; lowerable: boolean | null }[]
  >`
    select r.rolname as name,
           r.rolsuper or r.rolbypassrls as bypasses,
           r.rolsuper as superuser,
           (select pg_has_role(session_user, a.oid, 'member')
            from pg_roles a
            where a.rolname = ${APP_ROLE} and not a.rolsuper and not a.rolbypassrls) as lowerable
    from pg_roles r
    where r.rolname = current_user`
  if (!login) throw new Error('the database session has no role')
  if (!login.bypasses) return { role: null, warning: null }

  const what = `database role ${login.name} ${login.superuser ? 'is a superuser' : 'has BYPASSRLS'}`
  if (rules.mode === 'dev') {
    return login.lowerable
      ? { role: APP_ROLE, warning: `${what}; running as ${APP_ROLE} instead` }
      : { role: null, warning: `${what} and may not run as ${APP_ROLE}: row-level security does not hold` }
  }
  if (rules.allowBypass) {
    return { role: null, warning: `${what}: row-level security does not hold (CARACAL_DB_ALLOW_BYPASSRLS)` }
  }
  throw new LoginBypassesRowSecurity(
    `${what}, so row-level security would not hold; log in with an ordinary role or set CARACAL_DB_ALLOW_BYPASSRLS=true`,
  )
}
