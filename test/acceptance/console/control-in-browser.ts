import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest'
import { type ConsoleInBrowser, consoleInBrowser } from '../../fixtures/console-in-browser.ts'
import { createStage, type Stage } from '../../roles/control/stage.ts'
import { allPorts } from '../../server/store.ts'

export interface ControlInBrowser {
  readonly browser: ConsoleInBrowser
  readonly stage: Stage
  readonly url: string
}

/** A control role with its console in a browser, for the tests of the `describe` it is called in; no page may complain. */
export function controlInBrowser(): ControlInBrowser {
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

  return {
    get browser() {
      return browser
    },
    get stage() {
      return stage
    },
    get url() {
      return url
    },
  }
}
