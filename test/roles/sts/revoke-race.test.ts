/** No order of revoke and mint yields a usable mandate after the revoke (sts §4.6). */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../../fixtures/eventually.ts'
import { type SeededDelegation, seedDelegation } from '../../fixtures/zone.ts'
import {
  claimsOf,
  createWorld,
  delegatedFields,
  gatewayExchange,
  mintGatewayMandate,
  token,
  type World,
} from './world.ts'

let world: World
/** Seeded before a trigger watches the inserts. */
let watched: SeededDelegation
beforeAll(async () => {
  world = await createWorld({ STS_MINT_RATE_LIMIT_PER_MIN: 1_000_000 })
  watched = await seedDelegation(world.db, world.zone)
})
afterAll(async () => {
  await world[Symbol.asyncDispose]()
})

/** Runs `change` under the zone's exclusive lock and holds its commit back until told. */
async function pendingChange(change: (zoneId: string) => PromiseLike<unknown>) {
  const { zoneId } = world.zone
  const { admin } = world.database
  await admin`begin`
  await admin`select pg_advisory_xact_lock(hashtext(${`delegation:${zoneId}`}))`
  await change(zoneId)
  return { commit: () => admin`commit` }
}

const waitsForLock = () =>
  eventually(async () => {
    const [row] = await world.db.sql<{ waiting: boolean }[]>`
      select exists(select 1 from pg_locks where locktype = 'advisory' and not granted) as waiting`
    return row?.waiting === true
  })

describe('a mint that read before a revocation commits cannot insert after it', () => {
  test.each([
    [
      'revoked edge',
      (id: string) => `update delegation_edges set status = 'revoked', revoked_at = now() where id = '${id}'`,
    ],
    [
      'changed edge',
      (id: string) => `update delegation_edges set edge_version = edge_version + 1 where id = '${id}'`,
    ],
  ])('%s', async (_, statement) => {
    const delegation = await seedDelegation(world.db, world.zone)
    const change = await pendingChange(() => world.database.admin.unsafe(statement(delegation.edgeId)))
    const minting = token(world, delegatedFields(delegation))
    await waitsForLock()
    await change.commit()
    expect((await minting).status).toBe(403)
  })

  test('suspended session', async () => {
    const delegation = await seedDelegation(world.db, world.zone)
    const change = await pendingChange(
      () => world.database.admin`
        update agent_sessions set status = 'suspended', suspended_at = now()
        where id = ${delegation.parentSessionId}`,
    )
    const minting = token(world, delegatedFields(delegation))
    await waitsForLock()
    await change.commit()
    expect((await minting).status).toBe(403)
  })

  test('revoked record of the presented mandate', async () => {
    const { mandate } = await mintGatewayMandate(world)
    const change = await pendingChange(
      () => world.database.admin`
        update authority_records set status = 'revoked', revoked_at = now()
        where id = ${claimsOf(mandate).sid as string}`,
    )
    const trading = gatewayExchange(world, mandate)
    await waitsForLock()
    await change.commit()
    expect((await trading).status).toBe(403)
  })

  test('one dead mint in a batch leaves the others alone', async () => {
    const dying = await seedDelegation(world.db, world.zone)
    const living = await Promise.all(Array.from({ length: 5 }, () => seedDelegation(world.db, world.zone)))
    const change = await pendingChange(
      () => world.database.admin`
        update delegation_edges set status = 'revoked', revoked_at = now() where id = ${dying.edgeId}`,
    )
    const minting = [dying, ...living].map((delegation) => token(world, delegatedFields(delegation)))
    await waitsForLock()
    await change.commit()
    expect((await Promise.all(minting)).map((answer) => answer.status)).toEqual([
      403, 200, 200, 200, 200, 200,
    ])
  })
})

test('the insert runs while its own transaction holds the shared lock', async () => {
  const { admin } = world.database
  await admin.unsafe(`
    create function assert_shared_lock() returns trigger language plpgsql as $$
    begin
      if not exists (
        select 1 from pg_locks
        where locktype = 'advisory' and mode = 'ShareLock' and granted and pid = pg_backend_pid()
      ) then
        raise exception 'inserted without the lock';
      end if;
      return new;
    end $$;
    create trigger assert_shared_lock before insert on authority_records
    for each row execute function assert_shared_lock()`)
  try {
    const answers = await Promise.all([1, 2, 3].map(() => token(world, delegatedFields(watched))))
    expect(answers.map((answer) => answer.status)).toEqual([200, 200, 200])
  } finally {
    await admin`drop trigger assert_shared_lock on authority_records`
  }
})

test('under load: a mint that starts after the revocation committed is refused', async () => {
  for (let round = 0; round < 5; round++) {
    const delegation = await seedDelegation(world.db, world.zone)
    const mints = Array.from({ length: 24 }, async (_, index) => {
      await new Promise((resolve) => setTimeout(resolve, index % 6))
      return token(world, delegatedFields(delegation))
    })
    const revoked = world.db.transaction(async (tx) => {
      await tx.sql`select pg_advisory_xact_lock(hashtext(${`delegation:${world.zone.zoneId}`}))`
      await tx.sql`
        update delegation_edges set status = 'revoked', revoked_at = now() where id = ${delegation.edgeId}`
    })
    const [answers] = await Promise.all([Promise.all(mints), revoked])
    for (const answer of answers) expect([200, 403]).toContain(answer.status)
    expect((await token(world, delegatedFields(delegation))).status).toBe(403)
  }
})
