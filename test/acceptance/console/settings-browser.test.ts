/** Settings, notifications and the system zone in a real browser (sdk-cli-console §13.4). Left out where there is no Chromium. */
import { createServer, type Server } from 'node:http'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { uuidv7 } from '../../../src/platform/ids.ts'
import { noChromium } from '../../fixtures/chromium.ts'
import { eventually } from '../../fixtures/eventually.ts'
import { jobContext } from '../../fixtures/job-context.ts'
import { inOneProcess } from '../../fixtures/topology.ts'
import { adminToken } from '../../roles/control/stage.ts'
import { controlInBrowser } from './control-in-browser.ts'

vi.setConfig({ testTimeout: 60_000 })

const leftOut = noChromium ?? (inOneProcess ? null : 'skipped: a job of the role is run by hand')
const password = 'correct horse battery'

describe.skipIf(leftOut !== null)(leftOut ?? 'settings, in a browser', () => {
  const control = controlInBrowser()

  const button = (page: Page, name: string) => page.getByRole('button', { name, exact: true })
  const heading = (page: Page, name: string) => page.getByRole('heading', { name, exact: true }).first()
  const dialog = (page: Page) => page.getByRole('dialog')
  const section = (page: Page, title: string) =>
    page.locator('section', { has: page.getByRole('heading', { name: title, exact: true }) })
  const told = (page: Page, text: string) => page.getByText(text).first().waitFor()

  async function signedIn(token: string = adminToken): Promise<Page> {
    const page = await control.browser.page()
    await page.getByLabel('Administrator token').fill(token)
    await button(page, 'Sign in').click()
    await page.getByRole('navigation').waitFor()
    return page
  }

  const tokenOf = async (body: object): Promise<string> =>
    (await control.stage.send('POST', '/v1/admin-tokens', { name: `t-${uuidv7()}`, ...body })).body.token

  it('a theme is chosen, and kept', async () => {
    await control.stage.zone()
    const page = await signedIn()
    const paper = () => page.evaluate<string>('getComputedStyle(document.documentElement).backgroundColor')
    await page.goto(`${control.url}/console/settings`)
    await page.emulateMedia({ colorScheme: 'dark' })
    const dark = await paper()
    await page.emulateMedia({ colorScheme: 'light' })
    const light = await paper()
    expect(light).not.toBe(dark)
    await page.getByLabel('Theme').selectOption('Dark')
    expect(await paper()).toBe(dark)
    await page.reload()
    await heading(page, 'Settings').waitFor()
    expect([await paper(), await page.getByLabel('Theme').inputValue()]).toEqual([dark, 'dark'])
    await page.getByLabel('Theme').selectOption('As the device is set')
    expect(await paper()).toBe(light)

    await button(page, 'Start the guided setup again').click()
    await heading(page, 'Guided setup').waitFor()
  })

  it('the limits of the server are lowered by who may, and looked at by others', async () => {
    const zone = await control.stage.zone()
    const page = await signedIn()
    await page.goto(`${control.url}/console/settings`)
    const retention = section(page, 'Audit retention')
    await retention.getByText('365 days').first().waitFor()
    await retention.getByLabel('Days to keep').fill('366')
    await retention.getByRole('button', { name: 'Save' }).click()
    expect(await retention.getByLabel('Days to keep').evaluate((field) => field.matches(':invalid'))).toBe(
      true,
    )
    await retention.getByLabel('Days to keep').fill('90')
    await retention.getByRole('button', { name: 'Save' }).click()
    await dialog(page).getByText('older than 90 days').waitFor()
    expect((await control.stage.send('GET', '/v1/audit-retention')).body.retention_days).toBe(365)
    await dialog(page).getByRole('button', { name: 'Save' }).click()
    await retention.getByText('90 days', { exact: true }).waitFor()
    await retention.getByText('bootstrap').waitFor()
    expect((await control.stage.send('GET', '/v1/audit-retention')).body.retention_days).toBe(90)
    const mint = section(page, 'Mint rate')
    await mint.getByLabel('Mandates per minute').fill('120')
    await mint.getByRole('button', { name: 'Save' }).click()
    await mint.getByText('120 mandates per minute').waitFor()
    expect((await control.stage.send('GET', '/v1/mint-rate-limit')).body.limit_per_minute).toBe(120)

    const reader = await signedIn(await tokenOf({ scope: 'global', capability: 'read' }))
    await reader.goto(`${control.url}/console/settings`)
    await section(reader, 'Audit retention').getByText('90 days', { exact: true }).waitFor()
    await section(reader, 'Audit retention').getByText('You may look at it and not change it.').waitFor()
    expect(await button(reader, 'Save').count()).toBe(0)
    const confined = await signedIn(await tokenOf({ scope: 'zone', zone_id: zone, capability: 'write' }))
    await confined.goto(`${control.url}/console/settings`)
    await section(confined, 'Mint rate').getByText('you may not see it').waitFor()
    expect(await button(confined, 'Save').count()).toBe(0)
  })

  it('a person deletes their account, and a token operator is told that there is none', async () => {
    const email = `person-${uuidv7()}@example.com`
    const page = await control.browser.page()
    await button(page, 'Create an account').click()
    await page.getByLabel('E-mail').fill(email)
    await page.getByLabel('Password').fill(password)
    await button(page, 'Create account').click()
    // Before there is a zone too.
    await page.getByRole('link', { name: 'Settings' }).click()
    await page.getByRole('tab', { name: 'Danger' }).click()
    await told(page, 'No zone ends with it.')
    await page.goto(`${control.url}/console`)
    await page.getByLabel('Name your first zone').fill('Short-lived')
    await button(page, 'Create zone').click()
    await heading(page, 'Guided setup').waitFor()
    const zone = new URL(page.url()).pathname.split('/')[3]

    await page.goto(`${control.url}/console/settings?tab=danger`)
    await page.getByRole('link', { name: 'Short-lived' }).waitFor()
    await button(page, 'Delete account').click()
    const type = async (address: string, secret: string) => {
      await dialog(page).getByLabel('Type your e-mail address').fill(address)
      await dialog(page).getByLabel('Password').fill(secret)
      await dialog(page).getByRole('button', { name: 'Delete account' }).click()
    }
    await type('somebody@example.com', password)
    await dialog(page).getByText('not the e-mail address of the account').waitFor()
    await type(email, 'wrong')
    await dialog(page).getByText('password is not valid').waitFor()
    expect((await control.stage.send('GET', `/v1/zones/${zone}`)).status).toBe(200)
    await type(email, password)
    await told(page, 'Your account is deleted.')
    expect((await control.stage.send('GET', `/v1/zones/${zone}`)).status).toBe(404)
    await page.reload()
    await page.getByLabel('E-mail').waitFor()

    const admin = await signedIn()
    await admin.goto(`${control.url}/console/settings?tab=danger`)
    await told(admin, 'a token has no account')
    expect(await button(admin, 'Delete account').count()).toBe(0)
  })

  it('a system zone is marked, and nothing in it can be changed', async () => {
    const made = await control.stage.send('POST', '/v1/zones', { name: `caracal.sys/${uuidv7()}` })
    const { id, name } = made.body
    const inSystem = (rest: string) => control.stage.send('POST', `/v1/zones/${id}${rest}`, bodies[rest])
    const bodies: Record<string, object> = {
      '/applications': { name: 'caracal.sys/operator', registration_method: 'managed' },
      '/policy-sets': { name: 'default' },
      '/notification-sinks': { name: 'Platform', url: 'https://hooks.example.com/' },
    }
    const ids: Record<string, string> = {}
    for (const rest of Object.keys(bodies)) {
      const { status, body } = await inSystem(rest)
      expect([rest, status]).toEqual([rest, 201])
      ids[rest] = body.id
    }
    const ordinary = await control.stage.zone()
    const page = await signedIn()
    await page.goto(`${control.url}/console/zones`)
    await section(page, 'System zones').getByRole('link', { name }).click()
    await told(page, 'This is a system zone')
    expect(await page.getByRole('navigation').getByRole('link', { name: 'Guided setup' }).count()).toBe(0)
    const changing =
      /^(New|Create|Edit|Delete|Archive|Rotate|Reveal|Pause|Resume|Rename|Add|Choose|Activate|Turn)/
    const places = [
      '',
      '/applications',
      `/applications/${ids['/applications']}`,
      '/providers',
      '/resources',
      '/policies',
      '/policies/new',
      '/policies?tab=sets',
      `/policies/sets/${ids['/policy-sets']}`,
      '/workloads',
      '/control',
      '/notifications',
      `/notifications/${ids['/notification-sinks']}`,
      '/sessions',
      '/approvals',
    ]
    const look = async (zone: string, place: string) => {
      await page.goto(`${control.url}/console/zones/${zone}${place}`)
      await page.getByRole('heading', { level: 1 }).waitFor()
      await page.waitForLoadState('networkidle')
      return page.locator('main').getByRole('button', { name: changing }).allInnerTexts()
    }
    for (const place of places) expect([place, await look(id, place)]).toEqual([place, []])
    // The same search finds what may be changed where it may.
    expect(await look(ordinary, '/applications')).not.toEqual([])
    expect(await page.getByText('This is a system zone').count()).toBe(0)
  })

  describe('notifications', () => {
    let receiver: Server
    let hook: string
    let answer = 200
    const received: { readonly headers: Record<string, string>; readonly body: string }[] = []
    beforeAll(async () => {
      receiver = createServer((request, response) => {
        let body = ''
        request.on('data', (chunk: Buffer) => {
          body += chunk.toString()
        })
        request.on('end', () => {
          received.push({ headers: request.headers as Record<string, string>, body })
          response.writeHead(answer).end()
        })
      })
      await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve))
      hook = `http://127.0.0.1:${(receiver.address() as { port: number }).port}/hook`
    })
    afterAll(() => void receiver?.close())

    /** An approval is asked for: the event as ingest writes it, and a pass of the job that tells sinks. */
    async function approvalAskedFor(zone: string): Promise<void> {
      await control.stage.database.admin.begin(async (sql) => {
        const [head] = await sql<{ seq: number }[]>`
          insert into audit_chain_heads (zone_id, chain_seq, content_sha256) values (${zone}, 1, 'x')
          on conflict (zone_id) do update set chain_seq = audit_chain_heads.chain_seq + 1
          returning chain_seq::int as seq`
        await sql`
          insert into audit_events (id, zone_id, event_type, decision, occurred_at, chain_seq, metadata_json)
          values (${uuidv7()}, ${zone}, 'step_up_issued', 'pending', now(), ${head?.seq ?? 0}, '{}')`
      })
      const job = control.stage.control.jobs.find(({ name }) => name === 'notification_dispatcher')
      await job?.run(jobContext())
    }

    it('a sink is made, told, watched, changed and deleted', async () => {
      const zone = await control.stage.zone()
      const page = await signedIn()
      await page.goto(`${control.url}/console/zones/${zone}/notifications`)
      await told(page, 'Nobody is told of approvals yet.')
      await button(page, 'New sink').first().click()
      await dialog(page).getByLabel('Name').fill('On-call')
      await dialog(page).getByLabel('URL').fill('http://hooks.example.com/')
      await button(page, 'Create').click()
      await dialog(page).getByRole('alert').waitFor()
      await dialog(page).getByLabel('URL').fill(hook)
      for (const event of ['Held for approval', 'Approval decided', 'Approval used'])
        await dialog(page).getByLabel(event).uncheck()
      await button(page, 'Create').click()
      await dialog(page).getByText('Choose at least one event.').waitFor()
      await dialog(page).getByLabel('Held for approval').check()
      await button(page, 'Create').click()
      const shown = page.locator('.notice .snippet pre')
      const secret = await shown.innerText()
      expect(secret).toMatch(/^nsk_[0-9a-f]{48}$/)
      await button(page, 'Look at its deliveries').click()
      await told(page, 'Nothing yet.')
      expect(await page.content()).not.toContain(secret)

      // What the page says a receiver should do finds the delivery genuine, and no other.
      await approvalAskedFor(zone)
      await page.reload()
      await page.locator('tbody').getByText('delivered', { exact: true }).waitFor()
      await page.getByText('The check in Node.js').click()
      const program = await page.locator('details pre').innerText()
      const { isFromCaracal } = await import(`data:text/javascript,${encodeURIComponent(program)}`)
      const [first] = received
      expect(isFromCaracal(first?.headers, first?.body, secret)).toBe(true)
      expect(isFromCaracal(first?.headers, `${first?.body} `, secret)).toBe(false)
      expect(JSON.parse(first?.body ?? '{}')).toMatchObject({ type: 'step_up_issued', zone_id: zone })

      await button(page, 'Rotate secret').click()
      await dialog(page).getByRole('button', { name: 'Rotate' }).click()
      await shown.waitFor()
      const next = await shown.innerText()
      expect(next).not.toBe(secret)
      answer = 500
      await approvalAskedFor(zone)
      expect(isFromCaracal(received.at(-1)?.headers, received.at(-1)?.body, secret)).toBe(false)
      expect(isFromCaracal(received.at(-1)?.headers, received.at(-1)?.body, next)).toBe(true)
      await page.reload()
      await told(page, '1 failure in a row. The last: the sink answered 500.')
      await page.locator('tbody').getByText('to be tried again').waitFor()
      expect(await shown.count()).toBe(0)

      await button(page, 'Pause').click()
      await dialog(page).getByRole('button', { name: 'Pause' }).click()
      await page.locator('.facts').getByText('paused').waitFor()
      await button(page, 'Edit').click()
      await dialog(page).getByLabel('Name').fill('Pager')
      await dialog(page).getByLabel('URL').fill(`${hook}/new`)
      await dialog(page).getByLabel('Approval used').check()
      await button(page, 'Save').click()
      await heading(page, 'Pager').waitFor()
      const [row] = (await control.stage.send('GET', `/v1/zones/${zone}/notification-sinks`)).body.items
      expect(row).toMatchObject({
        name: 'Pager',
        url: `${hook}/new`,
        event_types: ['step_up_issued', 'step_up_consumed'],
        active: false,
        consecutive_failures: 0,
      })
      await button(page, 'Resume').click()
      await dialog(page).getByRole('button', { name: 'Resume' }).click()
      await page.locator('.facts').getByText('delivering').waitFor()

      await button(page, 'Delete').click()
      await dialog(page).getByRole('button', { name: 'Delete' }).click()
      await told(page, 'Nobody is told of approvals yet.')
      await eventually(
        async () =>
          (await control.stage.send('GET', `/v1/zones/${zone}/notification-sinks`)).body.items.length === 0,
      )
    })

    it('who may only read sees the sinks and cannot change them', async () => {
      const zone = await control.stage.zone()
      const body = { name: 'On-call', url: 'https://hooks.example.com/' }
      const { id } = (await control.stage.send('POST', `/v1/zones/${zone}/notification-sinks`, body)).body
      const page = await signedIn(await tokenOf({ scope: 'global', capability: 'read' }))
      await page.goto(`${control.url}/console/zones/${zone}/notifications`)
      await page.getByRole('link', { name: 'On-call' }).click()
      await page.locator('.facts').getByText(id).waitFor()
      for (const name of ['New sink', 'Edit', 'Pause', 'Rotate secret', 'Delete'])
        expect([name, await button(page, name).count()]).toEqual([name, 0])
    })
  })
})
