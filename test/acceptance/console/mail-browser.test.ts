/** What the links in mail lead to, in a real browser (sdk-cli-console §13.3). Left out where there is no Chromium. */
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { uuidv7 } from '../../../src/platform/ids.ts'
import { noChromium } from '../../fixtures/chromium.ts'
import { type ConsoleInBrowser, consoleInBrowser } from '../../fixtures/console-in-browser.ts'
import { type MailServer, startMailServer } from '../../fixtures/mail-server.ts'
import { inOneProcess } from '../../fixtures/topology.ts'
import { createStage, type Stage } from '../../roles/control/stage.ts'
import { allPorts } from '../../server/store.ts'

vi.setConfig({ testTimeout: 60_000 })

const leftOut = noChromium ?? (inOneProcess ? null : 'skipped: the mail server is in this process')

describe.skipIf(leftOut !== null)(leftOut ?? 'mail, in a browser', () => {
  let browser: ConsoleInBrowser
  let stage: Stage
  let mail: MailServer

  beforeAll(async () => {
    mail = await startMailServer({ startTls: false })
    stage = await createStage()
    const { ports } = await allPorts()
    const { control } = await stage.replica({
      CARACAL_MODE: 'stable',
      CARACAL_OPEN_REGISTRATION: true,
      CARACAL_SMTP_URL: `${mail.url}?ignoreTLS=true`,
      CARACAL_SMTP_FROM: 'caracal@example.com',
      CARACAL_WEB_URL: `http://localhost:${ports.console}`,
    })
    browser = await consoleInBrowser(control.front, { port: ports.console })
  })
  afterAll(async () => {
    await browser?.[Symbol.asyncDispose]()
    await stage?.[Symbol.asyncDispose]()
    await mail?.[Symbol.asyncDispose]()
  })

  const button = (page: Page, name: string) => page.getByRole('button', { name, exact: true })

  it('an account is registered, confirmed, and its password set anew', async () => {
    const email = `person-${uuidv7()}@example.com`
    const page = await browser.page()
    await button(page, 'Create an account').click()
    await page.getByLabel('E-mail').fill(email)
    await page.getByLabel('Password').fill('correct horse battery')
    await button(page, 'Create account').click()
    await page.getByRole('heading', { name: 'Look into your mail' }).waitFor()

    const confirm = await mail.linkTo(email)
    await page.goto(confirm.href)
    await page.getByLabel('Password').fill('correct horse battery')
    expect(page.url()).not.toContain(confirm.hash)
    await button(page, 'Confirm and sign in').click()
    await page.getByLabel('Name your first zone').waitFor()

    const other = await browser.page()
    await button(other, 'Use e-mail and password').click()
    await other.getByRole('link', { name: 'Forgot your password?' }).click()
    await other.getByLabel('E-mail').fill(email)
    await button(other, 'Mail me a link').click()
    await other.getByText('a link is on its way').waitFor()
    await other.goto((await mail.linkTo(email, 1)).href)
    await other.getByLabel('New password').fill('short')
    await button(other, 'Change password').click()
    await other.getByText('at least 8 characters').first().waitFor()
    await other.getByLabel('New password').fill('another horse battery')
    await button(other, 'Change password').click()
    await other.getByText('Your password is changed').waitFor()
    await other.getByRole('link', { name: 'To the sign-in' }).click()
    await button(other, 'Use e-mail and password').click()
    await other.getByLabel('E-mail').fill(email)
    await other.getByLabel('Password').fill('another horse battery')
    await button(other, 'Sign in').click()
    await other.getByLabel('Name your first zone').waitFor()

    await page.reload()
    await page.getByLabel('E-mail').waitFor()
    expect(browser.complaints()).toEqual([])
  })
})
