/** Names behind the ids of operators, for pages that show who did something. */
import type { Queryable } from '../../../platform/db/port.ts'

export interface NamedOperator {
  readonly id: string
  readonly name: string
}

/** By primary key in both tables; revoked tokens have a name too. */
export async function operatorNames(
  db: Queryable,
  ids: { readonly tokens: readonly string[]; readonly accounts: readonly string[] },
): Promise<{ readonly tokens: NamedOperator[]; readonly accounts: NamedOperator[] }> {
  const tokens = await db.sql<NamedOperator[]>`
    select id, name from admin_tokens where id = any(${ids.tokens as string[]}::text[])`
  const accounts = await db.sql<NamedOperator[]>`
    select id, email as name from console_accounts where id = any(${ids.accounts as string[]}::text[])`
  return { tokens, accounts }
}
