/** Sign-in with Google and GitHub in a real browser (sdk-cli-console §13.3). Left out where there is no Chromium. */
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { uuidv7 } from '../../../src/platform/ids.ts'
import { noChromium } from '../../fixtures/chromium.ts'
import { type ConsoleInBrowser, consoleInBrowser } from '../../fixtures/console-in-browser.ts'
import { createSocialPeer, type SocialPeer, socialClients, stranger } from '../../fixtures/social-peer.ts'
import { inOneProcess } from '../../fixtures/topology.ts'
import { createStage, type Stage } from '../../roles/control/stage.ts'
import { allPorts } from '../../server/store.ts'

vi.setConfig({ testTimeout: 60_000 })

const leftOut = noChromium ?? (inOneProcess ? null : 'skipped: the providers are in this process')

describe.skipIf(leftOut !== null)(leftOut ?? 'Google and GitHub, in a browser', () => {
  const email = `person-${uuidv7()}@example.com`
  let browser: ConsoleInBrowser
  let peer: SocialPeer
  let stage: Stage
  let url: string

  beforeAll(async () => {
    peer = await createSocialPeer(stranger(email))
    const { ports } = await allPorts()
    url = `http://localhost:${ports.console}`
    stage = await createStage({
      egress: peer.server.egress,
      socialEndpoints: peer.endpoints,
      settings: { ...socialClients, CARACAL_WEB_URL: url },
    })
    browser = await consoleInBrowser(stage.control.front, {
      port: ports.console,
      args: ['--host-resolver-rules=MAP *.test.example 127.0.0.1'],
    })
  })
  afterAll(async () => {
    await browser?.[Symbol.asyncDispose]()
    await stage?.[Symbol.asyncDispose]()
    await peer?.[Symbol.asyncDispose]()
  })

  const button = (page: Page, name: string) => page.getByRole('button', { name, exact: true })

  it('through the provider and back, to a link in the profile, and in again by that', async () => {
    const page = await browser.page()
    await button(page, 'Continue with Google').click()
    await page.getByLabel('Name your first zone').fill('Mine')
    await button(page, 'Create zone').click()
    await page.waitForURL('**/setup')
    await page.getByRole('link', { name: 'Profile' }).waitFor()
    const [session] = (await page.context().cookies()).filter(({ name }) => name.includes('session'))
    expect(session).toMatchObject({ httpOnly: true, sameSite: 'Lax' })

    await page.goto(`${url}/console/profile`)
    await page.getByText('your only way to sign in').waitFor()
    await button(page, 'Link GitHub').click()
    await page.getByText('GitHub is linked.').waitFor()
    await page.waitForURL(`${url}/console/profile`)
    await button(page, 'Unlink Google').click()
    await button(page, 'Unlink').click()
    await button(page, 'Link Google').waitFor()
    await page.getByText('your only way to sign in').waitFor()

    // Signed in elsewhere by what is left, at the page that was asked for.
    const other = await browser.page('/console/profile')
    await button(other, 'Continue with GitHub').click()
    await other.getByRole('heading', { name: 'Profile' }).waitFor()
    await other.getByText(email).first().waitFor()
    await other.waitForURL(`${url}/console/profile`)
    expect(browser.complaints()).toEqual([])
  })

  it('who comes back without being signed in reads why', async () => {
    peer.lies = { returns: { error: 'access_denied', error_description: 'words of the provider' } }
    const page = await browser.page()
    await button(page, 'Continue with GitHub').click()
    await page.getByRole('alert').getByText('You were not signed in').waitFor()
    expect(await page.content()).not.toContain('words of the provider')
    await page.waitForURL(`${url}/console/`)
    peer.lies = {}
    peer.person = stranger(`person-${uuidv7()}@example.com`)
    await stage.database
      .admin`insert into console_accounts (id, email) values ('there', ${peer.person.email})`
    await button(page, 'Continue with Google').click()
    await page.getByRole('alert').getByText('Sign in to it as before').waitFor()
    expect(browser.complaints()).toEqual([])
  })
})
