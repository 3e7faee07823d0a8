import { defineConfig } from 'vitest/config'

/** Processes of their own for every role share the machine with the tests that speak to them. */
const deployed = ['split', 'replicated'].includes(process.env.TEST_TOPOLOGY ?? '')

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/load/**'],
    globalSetup: ['test/fixtures/global-setup.ts'],
    testTimeout: deployed ? 60_000 : 20_000,
    // A shared runner can starve a test that waits for another process; a real defect fails twice.
    retry: process.env.CI ? 1 : 0,
    hookTimeout: deployed ? 180_000 : 60_000,
    pool: 'forks',
    maxWorkers: 2,
  },
})
