import { busContract } from './contract.ts'
import { createPostgresStore } from './postgres-store.ts'

busContract('Postgres', createPostgresStore)
