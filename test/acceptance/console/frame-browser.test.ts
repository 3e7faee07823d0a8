/** What holds on every page of the console, in a real browser (sdk-cli-console §13.4). Left out where there is no Chromium. */
import type { Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { uuidv7 } from '../../../src/platform/ids.ts'
import { noChromium } from '../../fixtures/chromium.ts'
import { type ConsoleInBrowser, consoleInBrowser } from '../../fixtures/console-in-browser.ts'
import { inOneProcess } from '../../fixtures/topology.ts'
import { createStage, type Stage } from '../../roles/control/stage.ts'
import { allPorts } from '../../server/store.ts'

vi.setConfig({ testTimeout: 60_000 })

const leftOut = noChromium ?? (inOneProcess ? null : 'skipped: rows are made by hand')
const password = 'correct horse battery'

describe.skipIf(leftOut !== null)(leftOut ?? 'every page, in a browser', () => {
  let browser: ConsoleInBrowser
  let stage: Stage
  let url: string

  beforeAll(async () => {
    stage = await createStage()
    const { ports } = await allPorts()
    url = `http://localhost:${ports.console}`
    browser = await consoleInBrowser(stage.control.front, { port: ports.console })
  })
  afterAll(async () => {
    await browser?.[Symbol.asyncDispose]()
    await stage?.[Symbol.asyncDispose]()
  })
  beforeEach(() => stage.forgetCounters())
  afterEach(() => expect(browser.complaints()).toEqual([]))

  const button = (page: Page, name: string) => page.getByRole('button', { name, exact: true })
  const heading = (page: Page, name: string) => page.getByRole('heading', { name, exact: true }).first()
  const pageOf = (zone: string, name: string) => `${url}/console/zones/${zone}/${name}`

  /** An account without a zone, on its first page. */
  async function registered(): Promise<{ readonly page: Page; readonly email: string }> {
    const email = `person-${uuidv7()}@example.com`
    const page = await browser.page()
    await button(page, 'Create an account').click()
    await page.getByLabel('E-mail').fill(email)
    await page.getByLabel('Password').fill(password)
    await button(page, 'Create account').click()
    await page.getByLabel('Name your first zone').waitFor()
    return { page, email }
  }

  /** A call that waits for an operator's decision. */
  async function held(zone: string): Promise<void> {
    const app = await stage.send('POST', `/v1/zones/${zone}/applications`, {
      name: 'clerk',
      registration_method: 'managed',
    })
    await stage.database.admin`
      insert into step_up_challenges
        (id, zone_id, session_id, challenge_type, metadata_json, expires_at, principal_id, resource_set_hash,
         application_id, tier, approver_class)
      values
        (${uuidv7()}, ${zone}, '', 'human_approval', '{"resources":["resource://desk"]}', now() + interval '1 hour',
         ${app.body.id}, ${Buffer.alloc(32, 7)}, ${app.body.id}, 'high', 'operator')`
  }

  it('an account is offered in each zone what its roles grant there', async () => {
    const { page, email } = await registered()
    const bound = await stage.zone()
    await held(bound)
    const grant = await stage.send('POST', `/v1/zones/${bound}/role-bindings`, {
      role_name: 'approver',
      subject: { kind: 'account', name: email },
    })
    expect(grant.status, grant.text).toBe(201)
    await page.getByLabel('Name your first zone').fill('Own')
    await button(page, 'Create zone').click()
    await heading(page, 'Guided setup').waitFor()
    const own = new URL(page.url()).pathname.split('/')[3] ?? ''

    // The zone that it has just made is its own at once, without a reload.
    await page.getByRole('link', { name: 'Applications', exact: true }).click()
    await button(page, 'New application').first().waitFor()
    await page.goto(pageOf(bound, 'applications'))
    await page.getByText('clerk').waitFor()
    expect(await button(page, 'New application').count()).toBe(0)
    await page.goto(pageOf(bound, 'approvals'))
    await button(page, 'Approve').first().click()
    const dialog = page.getByRole('dialog')
    await dialog.getByRole('button', { name: 'Approve' }).click()
    await page.getByText('Nothing waits').first().waitFor()

    await held(own)
    await page.goto(pageOf(own, 'approvals'))
    await page.getByText('clerk').first().waitFor()
    expect(await button(page, 'Approve').count()).toBe(0)

    await page.goto(`${url}/console/zones`)
    const rows = page.getByRole('row')
    await rows.nth(2).waitFor()
    expect(await button(page, 'Delete').count()).toBe(1)
    await button(page, 'New zone').waitFor()
    await page.goto(`${url}/console/profile`)
    await page.getByText('what your roles there grant').waitFor()
    expect(await page.getByText('In every zone').count()).toBe(0)
  })
})
