/** What the pages of single things have in common, in a real browser. Left out where there is no Chromium. */
import type { Page } from 'playwright-core'
import { describe, expect, it, vi } from 'vitest'
import { uuidv7 } from '../../../src/platform/ids.ts'
import { noChromium } from '../../fixtures/chromium.ts'
import { adminToken } from '../../roles/control/stage.ts'
import { controlInBrowser } from './control-in-browser.ts'

vi.setConfig({ testTimeout: 60_000 })

describe.skipIf(noChromium !== null)(noChromium ?? 'pages of single things, in a browser', () => {
  const control = controlInBrowser()

  const button = (page: Page, name: string) => page.getByRole('button', { name, exact: true })
  const heading = (page: Page, name: string) => page.getByRole('heading', { name, level: 1, exact: true })
  const answerOf = (page: Page, name: string) =>
    page.getByRole('dialog').getByRole('button', { name, exact: true })
  const hasFocus = (page: Page, name: string) =>
    expect.poll(() => button(page, name).evaluate((one) => one.matches(':focus'))).toBe(true)

  /** Signed in, on a page of `zone`. */
  async function open(zone: string, place: string): Promise<Page> {
    const page = await control.browser.page()
    await page.getByLabel('Administrator token').fill(adminToken)
    await button(page, 'Sign in').click()
    await page.getByRole('navigation').waitFor()
    await page.goto(`${control.url}/console/zones/${zone}${place}`)
    return page
  }

  const made = async (zone: string, rest: string, body: object): Promise<string> =>
    (await control.stage.send('POST', `/v1/zones/${zone}${rest}`, body)).body.id

  it('what is not there is said, with the way back, and nothing is offered for it', async () => {
    const zone = await control.stage.zone()
    const page = await open(zone, `/applications/${uuidv7()}`)
    await page.getByRole('alert').getByRole('button', { name: 'Try again' }).waitFor()
    await heading(page, 'Application').waitFor()
    expect(await page.title()).toBe('Application · Caracal')
    for (const name of ['Edit', 'Archive']) expect(await button(page, name).count()).toBe(0)
    await page.getByRole('link', { name: '← Applications' }).click()
    await heading(page, 'Applications').waitFor()
  })

  it('before a thing is removed it is asked; Escape and Cancel leave all as it was, a refusal stands in the question', async () => {
    const zone = await control.stage.zone()
    const id = await made(zone, '/applications', { name: 'worker', registration_method: 'managed' })
    const page = await open(zone, `/applications/${id}`)
    await heading(page, 'worker').waitFor()
    const question = page.getByRole('dialog', { name: 'Archive the application' })
    for (const leave of [() => page.keyboard.press('Escape'), () => answerOf(page, 'Cancel').click()]) {
      await button(page, 'Archive').click()
      await question.getByText('worker stops working at once').waitFor()
      await leave()
      await question.waitFor({ state: 'detached' })
      await hasFocus(page, 'Archive')
    }

    const refuse = '**/applications/*'
    const refusal = { code: 'conflict', message: 'Something holds on to it.' }
    await page.route(refuse, (route) =>
      route.request().method() === 'DELETE'
        ? route.fulfill({ status: 409, json: refusal })
        : route.continue(),
    )
    await button(page, 'Archive').click()
    await answerOf(page, 'Archive').click()
    await question.getByRole('alert').waitFor()
    expect(page.url()).toContain(id)
    await page.unroute(refuse)
    await answerOf(page, 'Archive').click()
    await heading(page, 'Applications').waitFor()
    expect(await page.getByRole('dialog').count()).toBe(0)
    expect(
      (await control.stage.send('GET', `/v1/zones/${zone}/applications?status=active`)).body.items,
    ).toEqual([])
  })

  it('each page offers what can be done, asks with its own words, and goes back to its list', async () => {
    const zone = await control.stage.zone()
    const provider = await made(zone, '/providers', { name: 'Open', kind: 'none' })
    const resource = await made(zone, '/resources', {
      name: 'Stock',
      identifier: 'resource://stock',
      upstream_url: 'https://stock.example.com',
      credential_provider_id: provider,
      scopes: ['stock:read'],
    })
    const pages = [
      {
        place: `/resources/${resource}`,
        asks: { Edit: /^Edit/, Delete: 'Delete the resource' },
        list: 'Resources',
      },
      {
        place: `/providers/${provider}`,
        asks: { Edit: /^Edit/, Delete: 'Delete the provider' },
        list: 'Providers',
      },
      {
        place: `/workloads/${await made(zone, '/workloads', { name: 'nightly' })}`,
        asks: {
          Rename: 'Rename the workload',
          'Rotate secret': 'Rotate the secret',
          Delete: 'Delete the workload',
        },
        list: 'Launcher',
      },
      {
        place: `/policies/sets/${await made(zone, '/policy-sets', { name: 'default' })}`,
        asks: { Archive: 'Archive “default”?' },
        list: 'Policies',
      },
    ]
    const page = await open(zone, '/resources')
    for (const { place, asks, list } of pages) {
      await page.goto(`${control.url}/console/zones/${zone}${place}`)
      for (const [name, title] of Object.entries(asks)) {
        await button(page, name).click()
        await page.getByRole('dialog', { name: title }).waitFor()
        await page.keyboard.press('Escape')
        await page.getByRole('dialog').waitFor({ state: 'detached' })
        await hasFocus(page, name)
      }
      const [remove = ''] = Object.keys(asks).slice(-1)
      await button(page, remove).click()
      await answerOf(page, remove).click()
      await heading(page, list).waitFor()
    }
  })

  it('a switch stays with what it asked, though somebody else turns it meanwhile', async () => {
    const zone = await control.stage.zone()
    const sink = { name: 'On-call', url: 'https://hooks.example.com/', event_types: ['step_up_issued'] }
    const id = await made(zone, '/notification-sinks', sink)
    const page = await open(zone, `/notifications/${id}`)
    await button(page, 'Pause').click()
    await page.getByRole('dialog', { name: 'Pause the sink?' }).waitFor()
    await control.stage.send('PATCH', `/v1/zones/${zone}/notification-sinks/${id}`, { active: false })
    // The page looks again by itself.
    await page.getByText('Resume', { exact: true }).waitFor({ timeout: 30_000 })
    expect(await page.getByRole('dialog').getAttribute('aria-label')).toBe('Pause the sink?')
    await answerOf(page, 'Cancel').click()
    await hasFocus(page, 'Resume')
    await button(page, 'Resume').click()
    await answerOf(page, 'Resume').click()
    await button(page, 'Pause').waitFor()
  })
})
