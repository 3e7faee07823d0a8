/** What holds on every page of the console, in a real browser (sdk-cli-console §13.4). Left out where there is no Chromium. */
import type { Page } from 'playwright-core'
import { describe, expect, it, vi } from 'vitest'
import { uuidv7 } from '../../../src/platform/ids.ts'
import { noChromium } from '../../fixtures/chromium.ts'
import { inOneProcess } from '../../fixtures/topology.ts'
import { adminToken } from '../../roles/control/stage.ts'
import { controlInBrowser } from './control-in-browser.ts'

vi.setConfig({ testTimeout: 60_000 })

const leftOut = noChromium ?? (inOneProcess ? null : 'skipped: rows are made by hand')
const password = 'correct horse battery'

describe.skipIf(leftOut !== null)(leftOut ?? 'every page, in a browser', () => {
  const control = controlInBrowser()

  const button = (page: Page, name: string) => page.getByRole('button', { name, exact: true })
  const heading = (page: Page, name: string) => page.getByRole('heading', { name, exact: true }).first()
  const pageOf = (zone: string, name: string) => `${control.url}/console/zones/${zone}/${name}`

  async function signIn(page: Page, token: string = adminToken): Promise<void> {
    await page.getByLabel('Administrator token').fill(token)
    await button(page, 'Sign in').click()
  }

  async function signedIn(): Promise<Page> {
    const page = await control.browser.page()
    await signIn(page)
    await page.getByRole('navigation').waitFor()
    return page
  }

  /** An account without a zone, on its first page. */
  async function registered(): Promise<{ readonly page: Page; readonly email: string }> {
    const email = `person-${uuidv7()}@example.com`
    const page = await control.browser.page()
    await button(page, 'Create an account').click()
    await page.getByLabel('E-mail').fill(email)
    await page.getByLabel('Password').fill(password)
    await button(page, 'Create account').click()
    await page.getByLabel('Name your first zone').waitFor()
    return { page, email }
  }

  /** A call that waits for an operator's decision. */
  async function held(zone: string): Promise<void> {
    const app = await control.stage.send('POST', `/v1/zones/${zone}/applications`, {
      name: 'clerk',
      registration_method: 'managed',
    })
    await control.stage.database.admin`
      insert into step_up_challenges
        (id, zone_id, session_id, challenge_type, metadata_json, expires_at, principal_id, resource_set_hash,
         application_id, tier, approver_class)
      values
        (${uuidv7()}, ${zone}, '', 'human_approval', '{"resources":["resource://desk"]}', now() + interval '1 hour',
         ${app.body.id}, ${Buffer.alloc(32, 7)}, ${app.body.id}, 'high', 'operator')`
  }

  it('an account is offered in each zone what its roles grant there', async () => {
    const { page, email } = await registered()
    const bound = await control.stage.zone()
    await held(bound)
    const grant = await control.stage.send('POST', `/v1/zones/${bound}/role-bindings`, {
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

    await page.goto(`${control.url}/console/zones`)
    const rows = page.getByRole('row')
    await rows.nth(2).waitFor()
    expect(await button(page, 'Delete').count()).toBe(1)
    await button(page, 'New zone').waitFor()
    await page.goto(`${control.url}/console/profile`)
    await page.getByText('what your roles there grant').waitFor()
    expect(await page.getByText('In every zone').count()).toBe(0)
  })

  it('a session that ends while somebody types costs nothing of what they typed', async () => {
    const zone = await control.stage.zone()
    const page = await signedIn()
    await page.goto(pageOf(zone, 'policies/new'))
    const document = '# caracal:data-document\npackage caracal.authz\napp_ids := {}\n'
    await page.getByRole('textbox', { name: 'Name' }).fill('half written')
    await page.getByLabel('Document').fill(document)
    await page.context().clearCookies()
    await button(page, 'Create policy').click()
    const again = page.getByRole('dialog', { name: 'Sign in again' })
    await again.getByText('Your session has ended.').waitFor()
    await again.getByLabel('Administrator token').fill('not it')
    await again.getByRole('button', { name: 'Sign in' }).click()
    await again.getByText('The admin token is not valid').waitFor()
    await again.getByLabel('Administrator token').fill(adminToken)
    await again.getByRole('button', { name: 'Sign in' }).click()
    await again.waitFor({ state: 'detached' })
    expect(await page.title()).toBe('New policy · Caracal')
    expect(await page.getByRole('textbox', { name: 'Name' }).inputValue()).toBe('half written')
    expect(await page.getByLabel('Document').inputValue()).toBe(document)
    await button(page, 'Create policy').click()
    await heading(page, 'half written').waitFor()

    // In a dialog, and what could not be asked for meanwhile is asked for.
    await page.goto(`${control.url}/console/zones`)
    await button(page, 'New zone').click()
    await page.getByRole('dialog').getByLabel('Name').fill('Half a zone')
    await page.context().clearCookies()
    await page.getByRole('dialog').getByRole('button', { name: 'Create' }).click()
    await again.getByLabel('Administrator token').fill(adminToken)
    await again.getByRole('button', { name: 'Sign in' }).click()
    await again.waitFor({ state: 'detached' })
    expect(await page.getByRole('dialog').getByLabel('Name').inputValue()).toBe('Half a zone')
    await page.keyboard.press('Escape')
    await button(page, 'Discard').click()
    await page.context().clearCookies()
    await page.getByRole('link', { name: 'Profile', exact: true }).click()
    await again.getByLabel('Administrator token').fill(adminToken)
    await again.getByRole('button', { name: 'Sign in' }).click()
    await page.getByText('this one').waitFor()

    // Somebody else goes on with nothing of it.
    await page.goto(pageOf(zone, 'policies/new'))
    await page.getByRole('textbox', { name: 'Name' }).fill('of the first person')
    await page.context().clearCookies()
    await button(page, 'Create policy').click()
    const { body } = await control.stage.send('POST', '/v1/admin-tokens', {
      name: `t-${uuidv7()}`,
      scope: 'global',
      capability: 'write',
    })
    await again.getByLabel('Administrator token').fill(body.token)
    await again.getByRole('button', { name: 'Sign in' }).click()
    await again.waitFor({ state: 'detached' })
    await page.getByRole('textbox', { name: 'Name' }).waitFor()
    expect(await page.getByRole('textbox', { name: 'Name' }).inputValue()).toBe('')
  })

  it('who signed in by e-mail is asked for that again', async () => {
    const { page, email } = await registered()
    await page.getByLabel('Name your first zone').fill('Own')
    await page.context().clearCookies()
    await button(page, 'Create zone').click()
    const again = page.getByRole('dialog', { name: 'Sign in again' })
    await again.getByLabel('E-mail').fill(email)
    await again.getByLabel('Password').fill(password)
    await again.getByRole('button', { name: 'Sign in' }).click()
    await again.waitFor({ state: 'detached' })
    expect(await page.getByLabel('Name your first zone').inputValue()).toBe('Own')

    await page.context().clearCookies()
    await page.reload()
    await page.getByLabel('E-mail').waitFor()
    await button(page, 'Use a token').click()
    await signIn(page)
    await page.getByRole('navigation').waitFor()
    await page.context().clearCookies()
    await page.reload()
    await page.getByLabel('Administrator token').waitFor()
  })

  it('what somebody typed is not lost before they say so', async () => {
    const zone = await control.stage.zone()
    const page = await signedIn()
    const question = page.getByRole('dialog', { name: 'Discard what you entered?' })
    await page.goto(`${control.url}/console/zones`)
    await button(page, 'New zone').click()
    const form = page.getByRole('dialog', { name: 'New zone' })
    const name = form.getByLabel('Name')

    // Nothing typed: nothing asked, and the focus is where it was.
    await page.keyboard.press('Escape')
    await form.waitFor({ state: 'detached' })
    const isFocused = (label: string) =>
      vi.waitFor(async () => expect(await page.locator(':focus').textContent()).toBe(label))
    await isFocused('New zone')

    await page.keyboard.press('Enter')
    await name.pressSequentially('Half a zone')
    await page.keyboard.press('Escape')
    await question.waitFor()
    await isFocused('Keep editing')
    // However often: it is asked, and what was typed stays.
    for (let round = 1; round <= 3; round += 1) {
      await page.keyboard.press('Escape')
      await question.waitFor({ state: 'detached' })
      await page.keyboard.press('Escape')
      await question.waitFor()
    }
    await button(page, 'Keep editing').click()
    await question.waitFor({ state: 'detached' })
    expect(await name.inputValue()).toBe('Half a zone')
    expect(await page.locator(':focus').inputValue()).toBe('Half a zone')

    await form.getByTitle('Close').click()
    await button(page, 'Discard').click()
    await form.waitFor({ state: 'detached' })
    await isFocused('New zone')

    // What was typed and taken back is nothing.
    await button(page, 'New zone').click()
    await name.fill('x')
    await name.fill('')
    await page.keyboard.press('Escape')
    await form.waitFor({ state: 'detached' })

    // A form on a page: back, a link, and on after it was sent.
    await page.goto(pageOf(zone, 'policies'))
    await button(page, 'New policy').first().click()
    const field = page.getByRole('textbox', { name: 'Name' })
    await field.fill('half written')
    const place = page.url()
    await page.goBack()
    await button(page, 'Keep editing').click()
    expect(page.url()).toBe(place)
    expect(await field.inputValue()).toBe('half written')
    await page.getByRole('link', { name: 'Applications', exact: true }).click()
    await button(page, 'Keep editing').click()
    expect(page.url()).toBe(place)
    await page.goBack()
    await button(page, 'Discard').click()
    await field.waitFor({ state: 'detached' })
    expect(page.url()).toBe(pageOf(zone, 'policies'))

    await button(page, 'New policy').first().click()
    await field.fill('whole')
    await page.getByLabel('Document').fill('# caracal:data-document\npackage caracal.authz\napp_ids := {}\n')
    await button(page, 'Create policy').click()
    await heading(page, 'whole').waitFor()
    await page.getByRole('link', { name: 'Applications', exact: true }).click()
    await heading(page, 'Applications').waitFor()
    expect(await question.count()).toBe(0)
  })

  it('without a mouse: one key past the navigation, and on from there after each page', async () => {
    const zone = await control.stage.zone()
    await control.stage.send('POST', `/v1/zones/${zone}/applications`, {
      name: 'keyed',
      registration_method: 'managed',
    })
    const page = await signedIn()
    await page.goto(pageOf(zone, 'applications'))
    await page.getByText('keyed').waitFor()
    await page.keyboard.press('Tab')
    expect(await page.evaluate('document.activeElement.textContent')).toBe('To the content')
    await page.keyboard.press('Enter')
    await page.keyboard.press('Tab')
    expect(await page.evaluate('document.activeElement.textContent')).toBe('New application')
    await page.locator('tr.openable').focus()
    await page.keyboard.press('Enter')
    await heading(page, 'keyed').waitFor()
    await page.keyboard.press('Tab')
    expect(await page.evaluate('document.activeElement.closest("main") !== null')).toBe(true)
    await page.setViewportSize({ width: 380, height: 800 })
    const menu = button(page, 'Menu')
    await menu.click()
    await expect.poll(() => menu.getAttribute('aria-expanded')).toBe('true')
    await page.keyboard.press('Escape')
    await expect.poll(() => menu.getAttribute('aria-expanded')).toBe('false')
  })

  it('a name without a place to break does not make a page wider than the screen', async () => {
    const long = 'resource'.repeat(15)
    const { body } = await control.stage.send('POST', '/v1/zones', { name: long })
    const zone = body.id as string
    const app = await control.stage.send('POST', `/v1/zones/${zone}/applications`, {
      name: long,
      registration_method: 'managed',
    })
    const page = await signedIn()
    await page.setViewportSize({ width: 380, height: 800 })
    for (const name of ['', 'setup', 'applications', `applications/${app.body.id}`]) {
      await page.goto(pageOf(zone, name))
      await page.getByRole('heading', { level: 1 }).waitFor()
      await page.getByText(long).first().waitFor({ state: 'attached' })
      expect(await page.evaluate('document.documentElement.scrollWidth'), name).toBe(380)
    }
  })

  it('copies where the browser has no clipboard for the page, in a dialog too', async () => {
    const zone = await control.stage.zone()
    const page = await signedIn()
    await page.addInitScript("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    await page.goto(pageOf(zone, 'applications'))
    await button(page, 'New application').first().click()
    await page.getByLabel('Name').last().fill('copied')
    await button(page, 'Create').click()
    const secret = await page.locator('.notice pre').innerText()
    await button(page, 'Copy').first().click()
    await button(page, 'Copied').waitFor()
    await button(page, 'Done').click()
    await page.goto(pageOf(zone, 'policies/new'))
    await page.getByRole('textbox', { name: 'Name' }).press('Control+V')
    expect(await page.getByRole('textbox', { name: 'Name' }).inputValue()).toBe(secret)
  })

  it('says so when it waits, and when what stands between answers instead of the server', async () => {
    const page = await signedIn()
    await page.route('**/api/console/auth/session', async (route) => {
      await page.getByText('Loading').waitFor()
      await route.continue()
    })
    await page.goto(`${control.url}/console/zones`)
    await heading(page, 'Zones').waitFor()
    await page.unroute('**/api/console/auth/session')
    await page.route('**/api/console/v1/zones', (route) =>
      route.request().method() === 'POST'
        ? route.fulfill({ status: 502, contentType: 'application/json', body: '<html>' })
        : route.continue(),
    )
    await button(page, 'New zone').click()
    await page.getByRole('dialog').getByLabel('Name').fill('kept')
    await page.getByRole('dialog').getByRole('button', { name: 'Create' }).click()
    await page.getByRole('dialog').getByText('http_502').waitFor()
    expect(await page.getByRole('dialog').getByLabel('Name').inputValue()).toBe('kept')
  })
})
