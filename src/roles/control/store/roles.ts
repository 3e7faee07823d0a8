/** Roles and their bindings (control-api §12.5). Built-in roles have no zone and may be bound anywhere. */
import type { Queryable, Tx } from '../../../platform/db/port.ts'
import { plannedForItsValues } from '../../../platform/db/statement.ts'
import { type BuiltInRole, PLATFORM_ADMIN } from '../rbac/built-in-roles.ts'
import type { Rule } from '../rbac/rules.ts'
import { given, keyset, type Page, type PageQuery } from './page.ts'
import type { IamZone } from './service-accounts.ts'

export interface Role {
  readonly id: string
  readonly zone_id: string | null
  readonly name: string
  readonly description: string | null
  readonly rules: readonly Rule[]
  readonly built_in: boolean
  readonly created_by: string
  readonly created_at: Date
  readonly updated_by: string | null
  readonly updated_at: Date
}

const columns = ({ sql }: Queryable) => sql`
  id, zone_id, name, description, rules, built_in, created_by, created_at, updated_by, updated_at`

/** A zone sees its own roles and the built-in ones. */
const visible = ({ sql }: Queryable, zone: IamZone) =>
  zone === undefined ? sql`true` : sql`(zone_id = ${zone} or built_in)`

export async function seedBuiltInRole(tx: Tx, id: string, role: BuiltInRole): Promise<void> {
  await tx.sql`
    insert into roles (id, zone_id, name, description, rules, built_in, created_by)
    values (${id}, null, ${role.name}, ${role.description}, ${JSON.stringify(role.rules)}::jsonb, true, 'system')
    on conflict (zone_id, name)
      do update set description = excluded.description, rules = excluded.rules, built_in = true`
}

export async function listRoles(db: Queryable, zone: IamZone, query: PageQuery): Promise<Page<Role>> {
  const { sql } = db
  const keys = keyset(sql, query, ['roles', zone ?? null])
  // Two walks, each in the order of the index; "of the zone or built in" in one would sort the whole table.
  const page = (which: ReturnType<typeof sql>) => sql`
    (select ${columns(db)}, ${keys.position} from roles where ${which} and ${keys.after} ${keys.tail})`
  const rows = await plannedForItsValues(sql<(Role & { cursor_ts: string })[]>`
    select role.* from (
      ${zone === undefined ? page(sql`true`) : sql`${page(sql`zone_id = ${zone}`)} union all ${page(sql`zone_id is null and built_in`)}`}
    ) role
    ${keys.tail}`)
  return keys.page(rows)
}

export async function findRole(db: Queryable, zone: IamZone, id: string): Promise<Role | null> {
  const [row] = await db.sql<Role[]>`
    select ${columns(db)} from roles where id = ${id} and ${visible(db, zone)}`
  return row ?? null
}

/** The role of this name that can be bound at `zoneId`: the zone's own before a deployment-wide one. */
export async function findRoleByName(
  db: Queryable,
  zoneId: string | null,
  name: string,
): Promise<Role | null> {
  const [row] = await db.sql<Role[]>`
    select ${columns(db)} from roles
    where name = ${name} and (zone_id is null or zone_id = ${zoneId})
    order by zone_id nulls last
    limit 1`
  return row ?? null
}

export interface RoleFields {
  readonly name: string
  readonly description: string | null
  readonly rules: readonly Rule[]
}

export async function insertRole(
  tx: Tx,
  id: string,
  zoneId: string | null,
  fields: RoleFields,
  by: string,
): Promise<Role | null> {
  const [row] = await tx.sql<Role[]>`
    insert into roles (id, zone_id, name, description, rules, created_by, updated_by)
    values (${id}, ${zoneId}, ${fields.name}, ${fields.description}, ${JSON.stringify(fields.rules)}::jsonb, ${by}, ${by})
    on conflict (zone_id, name) do nothing
    returning ${columns(tx)}`
  return row ?? null
}

export async function updateRole(tx: Tx, id: string, fields: RoleFields, by: string): Promise<Role | null> {
  const [row] = await tx.sql<Role[]>`
    update roles set
      name = ${fields.name},
      description = ${fields.description},
      rules = ${JSON.stringify(fields.rules)}::jsonb,
      updated_by = ${by},
      updated_at = now()
    where id = ${id}
    returning ${columns(tx)}`
  return row ?? null
}

/** Fails on `role_bindings_role_id_fkey` while an account has the role. */
export async function deleteRole(tx: Tx, id: string): Promise<void> {
  await tx.sql`delete from roles where id = ${id}`
}

export type SubjectKind = 'service_account' | 'account'

export interface RoleBinding {
  readonly id: string
  readonly role_id: string
  readonly role_name: string
  readonly role_built_in: boolean
  readonly subject_kind: SubjectKind
  readonly subject_id: string
  readonly subject_name: string | null
  readonly zone_id: string | null
  readonly created_by: string
  readonly created_at: Date
}

const bindingColumns = ({ sql }: Queryable) => sql`
  b.id, b.role_id, r.name as role_name, r.built_in as role_built_in, b.subject_kind, b.subject_id,
  coalesce(s.username, a.email) as subject_name, b.zone_id, b.created_by, b.created_at`

const bindingTables = ({ sql }: Queryable) => sql`
  role_bindings b
  join roles r on r.id = b.role_id
  left join service_accounts s on b.subject_kind = 'service_account' and s.id = b.subject_id
  left join console_accounts a on b.subject_kind = 'account' and a.id = b.subject_id`

const bindingZone = ({ sql }: Queryable, zone: IamZone) =>
  zone === undefined ? sql`true` : sql`b.zone_id = ${zone}`

export interface BindingFilters {
  readonly subject_kind?: string | undefined
  readonly subject_id?: string | undefined
  readonly role_id?: string | undefined
}

export async function listRoleBindings(
  db: Queryable,
  zone: IamZone,
  filters: BindingFilters,
  query: PageQuery,
): Promise<Page<RoleBinding>> {
  const { sql } = db
  const keys = keyset(sql, query, ['role_bindings', zone ?? null, filters], 'b.created_at', 'b.id')
  const rows = await plannedForItsValues(sql<(RoleBinding & { cursor_ts: string })[]>`
    select ${bindingColumns(db)}, ${keys.position} from ${bindingTables(db)}
    where ${bindingZone(db, zone)}
      and ${given(sql, filters.subject_kind, (value) => sql`b.subject_kind = ${value}`)}
      and ${given(sql, filters.subject_id, (value) => sql`b.subject_id = ${value}`)}
      and ${given(sql, filters.role_id, (value) => sql`b.role_id = ${value}`)}
      and ${keys.after}
    ${keys.tail}`)
  return keys.page(rows)
}

export async function findRoleBinding(db: Queryable, zone: IamZone, id: string): Promise<RoleBinding | null> {
  const [row] = await db.sql<RoleBinding[]>`
    select ${bindingColumns(db)} from ${bindingTables(db)} where b.id = ${id} and ${bindingZone(db, zone)}`
  return row ?? null
}

/** Inserts the binding; `null` when the same one exists. */
export async function insertRoleBinding(
  tx: Tx,
  binding: {
    readonly id: string
    readonly roleId: string
    readonly subjectKind: SubjectKind
    readonly subjectId: string
    readonly zoneId: string | null
    readonly by: string
  },
): Promise<boolean> {
  const rows = await tx.sql`
    insert into role_bindings (id, role_id, subject_kind, subject_id, zone_id, created_by)
    values (${binding.id}, ${binding.roleId}, ${binding.subjectKind}, ${binding.subjectId}, ${binding.zoneId},
            ${binding.by})
    on conflict (role_id, subject_kind, subject_id, zone_id) do nothing
    returning id`
  return rows.length > 0
}

export async function deleteRoleBinding(tx: Tx, id: string): Promise<void> {
  await tx.sql`delete from role_bindings where id = ${id}`
}

/** Serialises everything that could remove the last platform administrator. */
export async function lockPlatformAdmins(tx: Tx): Promise<void> {
  await tx.sql`select pg_advisory_xact_lock(hashtextextended('platform_admins', 0))`
}

/** Active accounts that administer the platform, leaving one account or one binding out. */
export async function countPlatformAdmins(
  db: Queryable,
  except: { readonly accountId?: string; readonly bindingId?: string },
): Promise<number> {
  const [row] = await db.sql<{ n: number }[]>`
    select count(distinct s.id)::int as n
    from role_bindings b
    join roles r on r.id = b.role_id and r.built_in and r.name = ${PLATFORM_ADMIN}
    join service_accounts s on s.id = b.subject_id and s.status = 'active'
    where b.subject_kind = 'service_account'
      and b.zone_id is null
      and s.id is distinct from ${except.accountId ?? null}
      and b.id is distinct from ${except.bindingId ?? null}`
  return row?.n ?? 0
}

/** Whether this account is one of them now. */
export async function isPlatformAdmin(db: Queryable, accountId: string): Promise<boolean> {
  const rows = await db.sql`
    select 1
    from role_bindings b
    join roles r on r.id = b.role_id and r.built_in and r.name = ${PLATFORM_ADMIN}
    join service_accounts s on s.id = b.subject_id and s.status = 'active'
    where b.subject_kind = 'service_account' and b.zone_id is null and s.id = ${accountId}
    limit 1`
  return rows.length > 0
}
