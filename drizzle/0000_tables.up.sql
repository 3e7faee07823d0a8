-- Every table, generated from src/platform/db/schema. By hand, because Drizzle cannot say it:
-- audit_events is partitioned, ephemera is unlogged, SET NULL clears the referring column and
-- keeps the zone, and step_up_challenges_open_key treats nulls as equal.
CREATE TABLE "audit_chain_heads" (
	"zone_id" text PRIMARY KEY NOT NULL,
	"chain_seq" bigint NOT NULL,
	"content_sha256" text NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "audit_dead_letters" (
	"id" text PRIMARY KEY NOT NULL,
	"reason" text NOT NULL,
	"src_id" text,
	"event_id" text,
	"zone_id" text,
	"data" text,
	"sig" text,
	"received_at" timestamp with time zone NOT NULL,
	"replayed_at" timestamp with time zone
);
--> statement-breakpoint
CREATE TABLE "audit_events" (
	"id" text NOT NULL,
	"zone_id" text NOT NULL,
	"event_type" text NOT NULL,
	"request_id" text,
	"decision" text,
	"policy_set_id" text,
	"policy_set_version_id" text,
	"manifest_sha" text,
	"evaluation_status" text,
	"determining_policies_json" jsonb,
	"diagnostics_json" jsonb,
	"metadata_json" jsonb,
	"occurred_at" timestamp with time zone NOT NULL,
	"ingested_at" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	"content_sha256" text,
	"prev_content_sha256" text,
	"chain_hmac" text,
	"chain_seq" bigint,
	"ingest_signature" text,
	"chain_key_id" text,
	CONSTRAINT "audit_events_pkey" PRIMARY KEY("id","occurred_at")
) PARTITION BY RANGE ("occurred_at");
--> statement-breakpoint
CREATE TABLE "audit_export_watermark" (
	"name" text PRIMARY KEY NOT NULL,
	"last_exported_hour" timestamp with time zone NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "audit_ingest_alerts" (
	"id" bigserial PRIMARY KEY NOT NULL,
	"event_id" text NOT NULL,
	"zone_id" text NOT NULL,
	"kind" text NOT NULL,
	"detail" text,
	"observed_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "audit_tamper_checkpoints" (
	"zone_id" text PRIMARY KEY NOT NULL,
	"verified_seq" bigint NOT NULL,
	"verified_sha256" text NOT NULL,
	"verified_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "admin_audit_events" (
	"id" text PRIMARY KEY NOT NULL,
	"request_id" text NOT NULL,
	"actor_id" text,
	"actor_name" text,
	"actor_scope" text,
	"action" text NOT NULL,
	"method" text NOT NULL,
	"path" text NOT NULL,
	"zone_id" text,
	"entity_type" text,
	"entity_id" text,
	"status_code" integer NOT NULL,
	"payload_json" jsonb,
	"occurred_at" timestamp with time zone DEFAULT now() NOT NULL,
	"content_sha256" text,
	"prev_content_sha256" text,
	"chain_hmac" text,
	"chain_seq" bigint
);
--> statement-breakpoint
CREATE TABLE "admin_tokens" (
	"id" text PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"token_lookup" "bytea" NOT NULL,
	"token_hash" text,
	"scope" text NOT NULL,
	"zone_id" text,
	"capability" text DEFAULT 'write' NOT NULL,
	"created_by" text NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"last_used_at" timestamp with time zone,
	"revoked_at" timestamp with time zone,
	CONSTRAINT "admin_tokens_scope_check" CHECK ("admin_tokens"."scope" in ('global', 'zone')),
	CONSTRAINT "admin_tokens_capability_check" CHECK ("admin_tokens"."capability" in ('read', 'write', 'approve')),
	CONSTRAINT "admin_tokens_scope_zone_check" CHECK (("admin_tokens"."scope" = 'global') = ("admin_tokens"."zone_id" is null))
);
--> statement-breakpoint
CREATE TABLE "api_keys" (
	"id" text PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"prefix" text NOT NULL,
	"zone_id" text,
	"service_account_id" text NOT NULL,
	"rules" jsonb,
	"secret_hash" text NOT NULL,
	"previous_hash" text,
	"previous_valid_until" timestamp with time zone,
	"expires_at" timestamp with time zone,
	"last_used_at" timestamp with time zone,
	"revoked_at" timestamp with time zone,
	"created_by" text NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "applications" (
	"id" text PRIMARY KEY NOT NULL,
	"zone_id" text NOT NULL,
	"name" text NOT NULL,
	"registration_method" text NOT NULL,
	"credential_type" text DEFAULT 'token' NOT NULL,
	"client_secret_hash" text,
	"traits" text[] DEFAULT '{}'::text[] NOT NULL,
	"expires_at" timestamp with time zone,
	"archived_at" timestamp with time zone,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp with time zone,
	"created_by" text,
	"created_via_operator" boolean DEFAULT false NOT NULL,
	"updated_by" text,
	"updated_via_operator" boolean DEFAULT false NOT NULL,
	CONSTRAINT "applications_zone_id_id_key" UNIQUE("zone_id","id"),
	CONSTRAINT "applications_registration_method_check" CHECK ("applications"."registration_method" in ('managed', 'dcr')),
	CONSTRAINT "applications_credential_type_check" CHECK ("applications"."credential_type" = 'token'),
	CONSTRAINT "applications_dcr_expires_check" CHECK ("applications"."registration_method" <> 'dcr' or "applications"."expires_at" is not null)
);
--> statement-breakpoint
CREATE TABLE "audit_retention" (
	"singleton" boolean PRIMARY KEY DEFAULT true NOT NULL,
	"retention_days" integer NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
	"updated_by" text,
	CONSTRAINT "audit_retention_singleton_check" CHECK ("audit_retention"."singleton"),
	CONSTRAINT "audit_retention_retention_days_check" CHECK ("audit_retention"."retention_days" >= 1)
);
--> statement-breakpoint
CREATE TABLE "console_accounts" (
	"id" text PRIMARY KEY NOT NULL,
	"email" text NOT NULL,
	"password_hash" text,
	"verified_at" timestamp with time zone,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "console_accounts_email_key" UNIQUE("email"),
	CONSTRAINT "console_accounts_email_check" CHECK ("console_accounts"."email" = lower("console_accounts"."email"))
);
--> statement-breakpoint
CREATE TABLE "console_sessions" (
	"id" text PRIMARY KEY NOT NULL,
	"token_hash" text NOT NULL,
	"account_id" text,
	"admin_token_id" text,
	"expires_at" timestamp with time zone NOT NULL,
	"revoked_at" timestamp with time zone,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "console_sessions_token_hash_key" UNIQUE("token_hash")
);
--> statement-breakpoint
CREATE TABLE "credential_keys" (
	"id" text PRIMARY KEY NOT NULL,
	"envelope" "bytea" NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "delegated_grants" (
	"id" text PRIMARY KEY NOT NULL,
	"zone_id" text NOT NULL,
	"application_id" text,
	"user_id" text NOT NULL,
	"resource_id" text NOT NULL,
	"scopes" text[] NOT NULL,
	"status" text DEFAULT 'active' NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
	"created_by" text,
	"created_via_operator" boolean DEFAULT false NOT NULL,
	"updated_by" text,
	"updated_via_operator" boolean DEFAULT false NOT NULL,
	CONSTRAINT "delegated_grants_status_check" CHECK ("delegated_grants"."status" in ('active', 'revoked', 'expired'))
);
--> statement-breakpoint
CREATE TABLE "deployment" (
	"singleton" boolean PRIMARY KEY DEFAULT true NOT NULL,
	"bus_driver" text NOT NULL,
	"ephemera_driver" text NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "deployment_singleton_check" CHECK ("deployment"."singleton"),
	CONSTRAINT "deployment_bus_driver_check" CHECK ("deployment"."bus_driver" in ('redis', 'postgres')),
	CONSTRAINT "deployment_ephemera_driver_check" CHECK ("deployment"."ephemera_driver" in ('redis', 'postgres'))
);
--> statement-breakpoint
CREATE TABLE "notification_deliveries" (
	"id" text PRIMARY KEY NOT NULL,
	"sink_id" text NOT NULL,
	"zone_id" text NOT NULL,
	"event_id" text NOT NULL,
	"event_type" text NOT NULL,
	"payload_json" jsonb NOT NULL,
	"attempts" integer DEFAULT 0 NOT NULL,
	"available_at" timestamp with time zone DEFAULT now() NOT NULL,
	"delivered_at" timestamp with time zone,
	"abandoned_at" timestamp with time zone,
	"response_status" integer,
	"last_error" text,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "notification_deliveries_sink_id_event_id_key" UNIQUE("sink_id","event_id")
);
--> statement-breakpoint
CREATE TABLE "notification_sinks" (
	"id" text PRIMARY KEY NOT NULL,
	"zone_id" text NOT NULL,
	"name" text NOT NULL,
	"url" text NOT NULL,
	"secret_ct" "bytea" NOT NULL,
	"event_types" text[] NOT NULL,
	"active" boolean DEFAULT true NOT NULL,
	"cursor_chain_seq" bigint DEFAULT 0 NOT NULL,
	"consecutive_failures" integer DEFAULT 0 NOT NULL,
	"last_success_at" timestamp with time zone,
	"last_failure_at" timestamp with time zone,
	"last_error" text,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "notification_sinks_zone_id_id_key" UNIQUE("zone_id","id"),
	CONSTRAINT "notification_sinks_event_types_check" CHECK (cardinality("notification_sinks"."event_types") > 0)
);
--> statement-breakpoint
CREATE TABLE "platform_signing_keys" (
	"id" text PRIMARY KEY NOT NULL,
	"envelope" "bytea" NOT NULL,
	"version" integer NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "policies" (
	"id" text PRIMARY KEY NOT NULL,
	"zone_id" text NOT NULL,
	"name" text NOT NULL,
	"description" text,
	"archived_at" timestamp with time zone,
	"created_by" text NOT NULL,
	"created_via_operator" boolean DEFAULT false NOT NULL,
	"updated_by" text,
	"updated_via_operator" boolean DEFAULT false NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "policies_zone_id_id_key" UNIQUE("zone_id","id")
);
--> statement-breakpoint
CREATE TABLE "policy_set_bindings" (
	"zone_id" text NOT NULL,
	"policy_set_id" text NOT NULL,
	"active_version_id" text,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "policy_set_bindings_pkey" PRIMARY KEY("zone_id","policy_set_id")
);
--> statement-breakpoint
CREATE TABLE "policy_set_versions" (
	"id" text PRIMARY KEY NOT NULL,
	"policy_set_id" text NOT NULL,
	"version" integer NOT NULL,
	"manifest_json" jsonb NOT NULL,
	"manifest_sha256" text NOT NULL,
	"schema_version" text NOT NULL,
	"created_by" text NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"archived_at" timestamp with time zone,
	"created_via_operator" boolean DEFAULT false NOT NULL,
	CONSTRAINT "policy_set_versions_policy_set_id_version_key" UNIQUE("policy_set_id","version"),
	CONSTRAINT "policy_set_versions_policy_set_id_id_key" UNIQUE("policy_set_id","id")
);
--> statement-breakpoint
CREATE TABLE "policy_sets" (
	"id" text PRIMARY KEY NOT NULL,
	"zone_id" text NOT NULL,
	"name" text NOT NULL,
	"description" text,
	"archived_at" timestamp with time zone,
	"created_by" text NOT NULL,
	"created_via_operator" boolean DEFAULT false NOT NULL,
	"updated_by" text,
	"updated_via_operator" boolean DEFAULT false NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "policy_sets_zone_id_id_key" UNIQUE("zone_id","id")
);
--> statement-breakpoint
CREATE TABLE "policy_versions" (
	"id" text PRIMARY KEY NOT NULL,
	"policy_id" text NOT NULL,
	"version" integer NOT NULL,
	"content" text NOT NULL,
	"content_sha256" text NOT NULL,
	"schema_version" text NOT NULL,
	"created_by" text NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"archived_at" timestamp with time zone,
	"created_via_operator" boolean DEFAULT false NOT NULL,
	CONSTRAINT "policy_versions_policy_id_version_key" UNIQUE("policy_id","version")
);
--> statement-breakpoint
CREATE TABLE "provider_connections" (
	"id" text PRIMARY KEY NOT NULL,
	"zone_id" text NOT NULL,
	"subject_id" text NOT NULL,
	"provider_id" text NOT NULL,
	"status" text DEFAULT 'active' NOT NULL,
	"access_token_ct" "bytea",
	"refresh_token_ct" "bytea",
	"expires_at" timestamp with time zone,
	"refreshed_at" timestamp with time zone,
	"refresh_token_version" integer DEFAULT 0 NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "provider_connections_status_check" CHECK ("provider_connections"."status" in ('active', 'revoked', 'expired'))
);
--> statement-breakpoint
CREATE TABLE "providers" (
	"id" text PRIMARY KEY NOT NULL,
	"zone_id" text NOT NULL,
	"name" text NOT NULL,
	"identifier" text NOT NULL,
	"provider_kind" text NOT NULL,
	"config_json" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"secret_config_keys" text[] DEFAULT '{}'::text[] NOT NULL,
	"connectivity_failed_at" timestamp with time zone,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
	"archived_at" timestamp with time zone,
	"created_by" text,
	"created_via_operator" boolean DEFAULT false NOT NULL,
	"updated_by" text,
	"updated_via_operator" boolean DEFAULT false NOT NULL,
	CONSTRAINT "providers_zone_id_id_key" UNIQUE("zone_id","id"),
	CONSTRAINT "providers_provider_kind_check" CHECK ("providers"."provider_kind" in ('none', 'caracal_mandate', 'oauth2_authorization_code', 'oauth2_client_credentials', 'api_key', 'bearer_token', 'http_basic'))
);
--> statement-breakpoint
CREATE TABLE "resources" (
	"id" text PRIMARY KEY NOT NULL,
	"zone_id" text NOT NULL,
	"name" text NOT NULL,
	"identifier" text NOT NULL,
	"upstream_url" text,
	"credential_provider_id" text NOT NULL,
	"scopes" text[] DEFAULT '{}'::text[] NOT NULL,
	"operations" jsonb DEFAULT '[]'::jsonb NOT NULL,
	"operation_enforcement" text DEFAULT 'transport_uniform' NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
	"archived_at" timestamp with time zone,
	"created_by" text,
	"created_via_operator" boolean DEFAULT false NOT NULL,
	"updated_by" text,
	"updated_via_operator" boolean DEFAULT false NOT NULL,
	CONSTRAINT "resources_zone_id_id_key" UNIQUE("zone_id","id"),
	CONSTRAINT "resources_operation_enforcement_check" CHECK ("resources"."operation_enforcement" in ('enforced', 'transport_uniform'))
);
--> statement-breakpoint
CREATE TABLE "role_bindings" (
	"id" text PRIMARY KEY NOT NULL,
	"role_id" text NOT NULL,
	"subject_kind" text NOT NULL,
	"subject_id" text NOT NULL,
	"zone_id" text,
	"created_by" text NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "role_bindings_role_subject_zone_key" UNIQUE NULLS NOT DISTINCT("role_id","subject_kind","subject_id","zone_id"),
	CONSTRAINT "role_bindings_subject_kind_check" CHECK ("role_bindings"."subject_kind" in ('service_account', 'account'))
);
--> statement-breakpoint
CREATE TABLE "roles" (
	"id" text PRIMARY KEY NOT NULL,
	"zone_id" text,
	"name" text NOT NULL,
	"description" text,
	"rules" jsonb NOT NULL,
	"built_in" boolean DEFAULT false NOT NULL,
	"created_by" text NOT NULL,
	"updated_by" text,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "roles_zone_id_name_key" UNIQUE NULLS NOT DISTINCT("zone_id","name")
);
--> statement-breakpoint
CREATE TABLE "schema_migrations" (
	"version" text PRIMARY KEY NOT NULL,
	"applied_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "secret_store" (
	"ref" text PRIMARY KEY NOT NULL,
	"zone_id" text NOT NULL,
	"envelope" "bytea" NOT NULL,
	"version" integer DEFAULT 1 NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "service_accounts" (
	"id" text PRIMARY KEY NOT NULL,
	"zone_id" text,
	"username" text NOT NULL,
	"display_name" text,
	"password_hash" text NOT NULL,
	"token_version" integer DEFAULT 0 NOT NULL,
	"status" text DEFAULT 'active' NOT NULL,
	"last_login_at" timestamp with time zone,
	"password_changed_at" timestamp with time zone DEFAULT now() NOT NULL,
	"created_by" text NOT NULL,
	"updated_by" text,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "service_accounts_username_key" UNIQUE("username"),
	CONSTRAINT "service_accounts_status_check" CHECK ("service_accounts"."status" in ('active', 'inactive'))
);
--> statement-breakpoint
CREATE TABLE "sts_rate_limit" (
	"singleton" boolean PRIMARY KEY DEFAULT true NOT NULL,
	"limit_per_minute" integer NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
	"updated_by" text,
	CONSTRAINT "sts_rate_limit_singleton_check" CHECK ("sts_rate_limit"."singleton"),
	CONSTRAINT "sts_rate_limit_limit_per_minute_check" CHECK ("sts_rate_limit"."limit_per_minute" >= 1)
);
--> statement-breakpoint
CREATE TABLE "subject_issuers" (
	"id" text PRIMARY KEY NOT NULL,
	"zone_id" text NOT NULL,
	"issuer" text NOT NULL,
	"jwks_url" text NOT NULL,
	"audience" text NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
	"archived_at" timestamp with time zone,
	"created_by" text,
	"created_via_operator" boolean DEFAULT false NOT NULL,
	"updated_by" text,
	"updated_via_operator" boolean DEFAULT false NOT NULL
);
--> statement-breakpoint
CREATE TABLE "workloads" (
	"id" text PRIMARY KEY NOT NULL,
	"zone_id" text NOT NULL,
	"name" text NOT NULL,
	"secret_hash" text NOT NULL,
	"bindings" jsonb DEFAULT '[]'::jsonb NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp with time zone,
	"created_by" text,
	"created_via_operator" boolean DEFAULT false NOT NULL,
	"updated_by" text,
	"updated_via_operator" boolean DEFAULT false NOT NULL
);
--> statement-breakpoint
CREATE TABLE "zones" (
	"id" text PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"slug" text NOT NULL,
	"dcr_enabled" boolean DEFAULT false NOT NULL,
	"operator_coauthor_badge" boolean DEFAULT true NOT NULL,
	"operator_governed" boolean DEFAULT false NOT NULL,
	"owner_account_id" text,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
	"archived_at" timestamp with time zone,
	"created_by" text,
	"created_via_operator" boolean DEFAULT false NOT NULL,
	"updated_by" text,
	"updated_via_operator" boolean DEFAULT false NOT NULL,
	CONSTRAINT "zones_slug_key" UNIQUE("slug")
);
--> statement-breakpoint
CREATE TABLE "agent_invocations" (
	"id" text PRIMARY KEY NOT NULL,
	"zone_id" text NOT NULL,
	"service_id" text NOT NULL,
	"source_session_id" text,
	"target_session_id" text,
	"idempotency_key" text NOT NULL,
	"method" text NOT NULL,
	"params_json" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"metadata_json" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"request_digest" "bytea" NOT NULL,
	"status" text DEFAULT 'pending' NOT NULL,
	"attempts" integer DEFAULT 0 NOT NULL,
	"max_attempts" integer DEFAULT 3 NOT NULL,
	"timeout_ms" integer DEFAULT 30000 NOT NULL,
	"retry_policy_json" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"error_json" jsonb,
	"deadline_at" timestamp with time zone,
	"cancel_requested_at" timestamp with time zone,
	"started_at" timestamp with time zone,
	"completed_at" timestamp with time zone,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "agent_invocations_zone_id_service_id_idempotency_key_key" UNIQUE("zone_id","service_id","idempotency_key"),
	CONSTRAINT "agent_invocations_zone_id_id_key" UNIQUE("zone_id","id"),
	CONSTRAINT "agent_invocations_request_digest_check" CHECK (octet_length("agent_invocations"."request_digest") = 32),
	CONSTRAINT "agent_invocations_status_check" CHECK ("agent_invocations"."status" in ('pending', 'running', 'succeeded', 'failed', 'timed_out', 'canceled', 'dead', 'cancel_requested')),
	CONSTRAINT "agent_invocations_max_attempts_check" CHECK ("agent_invocations"."max_attempts" > 0),
	CONSTRAINT "agent_invocations_timeout_ms_check" CHECK ("agent_invocations"."timeout_ms" > 0)
);
--> statement-breakpoint
CREATE TABLE "agent_services" (
	"id" text PRIMARY KEY NOT NULL,
	"zone_id" text NOT NULL,
	"application_id" text NOT NULL,
	"endpoint_url" text NOT NULL,
	"protocol_versions" text[] DEFAULT '{}'::text[] NOT NULL,
	"framework_name" text,
	"framework_version" text,
	"capabilities" text[] DEFAULT '{}'::text[] NOT NULL,
	"health" text DEFAULT 'starting' NOT NULL,
	"metadata_json" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"last_heartbeat_at" timestamp with time zone,
	"agent_session_id" text,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "agent_services_zone_id_application_id_endpoint_url_key" UNIQUE("zone_id","application_id","endpoint_url"),
	CONSTRAINT "agent_services_zone_id_id_key" UNIQUE("zone_id","id"),
	CONSTRAINT "agent_services_health_check" CHECK ("agent_services"."health" in ('starting', 'healthy', 'degraded', 'unhealthy'))
);
--> statement-breakpoint
CREATE TABLE "agent_sessions" (
	"id" text PRIMARY KEY NOT NULL,
	"zone_id" text NOT NULL,
	"application_id" text NOT NULL,
	"session_sid" text NOT NULL,
	"parent_id" text,
	"status" text DEFAULT 'active' NOT NULL,
	"depth" integer DEFAULT 0 NOT NULL,
	"capabilities" text[] DEFAULT '{}'::text[] NOT NULL,
	"labels" text[] DEFAULT '{}'::text[] NOT NULL,
	"lifecycle" text DEFAULT 'task' NOT NULL,
	"ttl_seconds" integer DEFAULT 3600,
	"max_children" integer DEFAULT 10 NOT NULL,
	"child_count" integer DEFAULT 0 NOT NULL,
	"spawned_at" timestamp with time zone DEFAULT now() NOT NULL,
	"suspended_at" timestamp with time zone,
	"terminated_at" timestamp with time zone,
	"termination_reason" text,
	"last_active_at" timestamp with time zone DEFAULT now() NOT NULL,
	"last_heartbeat_at" timestamp with time zone,
	"heartbeat_deadline_at" timestamp with time zone,
	"lease_generation" bigint DEFAULT 0 NOT NULL,
	"metadata_json" jsonb,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "agent_sessions_zone_id_id_key" UNIQUE("zone_id","id"),
	CONSTRAINT "agent_sessions_status_check" CHECK ("agent_sessions"."status" in ('active', 'suspended', 'terminated', 'expired')),
	CONSTRAINT "agent_sessions_lease_generation_check" CHECK ("agent_sessions"."lease_generation" >= 0),
	CONSTRAINT "agent_sessions_lifecycle_check" CHECK (("agent_sessions"."lifecycle" = 'task' and "agent_sessions"."ttl_seconds" is not null and "agent_sessions"."ttl_seconds" > 0 and "agent_sessions"."last_heartbeat_at" is null and "agent_sessions"."heartbeat_deadline_at" is null) or ("agent_sessions"."lifecycle" = 'service' and "agent_sessions"."ttl_seconds" is null and "agent_sessions"."last_heartbeat_at" is not null and "agent_sessions"."heartbeat_deadline_at" is not null)),
	CONSTRAINT "agent_sessions_terminated_check" CHECK (("agent_sessions"."status" in ('terminated', 'expired')) = ("agent_sessions"."terminated_at" is not null))
);
--> statement-breakpoint
CREATE TABLE "caracal_outbox" (
	"id" text PRIMARY KEY NOT NULL,
	"producer" text NOT NULL,
	"topic" text NOT NULL,
	"dedupe_key" text NOT NULL,
	"payload_json" jsonb NOT NULL,
	"status" text DEFAULT 'pending' NOT NULL,
	"attempts" integer DEFAULT 0 NOT NULL,
	"available_at" timestamp with time zone DEFAULT now() NOT NULL,
	"locked_until" timestamp with time zone,
	"locked_by" text,
	"last_error" text,
	"request_id" text,
	"published_at" timestamp with time zone,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "caracal_outbox_producer_topic_dedupe_key_key" UNIQUE("producer","topic","dedupe_key"),
	CONSTRAINT "caracal_outbox_producer_check" CHECK ("caracal_outbox"."producer" in ('control', 'coordinator', 'sts', 'gateway', 'audit', 'execution')),
	CONSTRAINT "caracal_outbox_status_check" CHECK ("caracal_outbox"."status" in ('pending', 'published', 'dead'))
);
--> statement-breakpoint
CREATE TABLE "coordinator_idempotency_receipts" (
	"id" text PRIMARY KEY NOT NULL,
	"operation" text NOT NULL,
	"zone_id" text NOT NULL,
	"scope_id" text NOT NULL,
	"key_digest" "bytea" NOT NULL,
	"request_digest" "bytea" NOT NULL,
	"resource_type" text NOT NULL,
	"resource_id" text NOT NULL,
	"response_status" smallint NOT NULL,
	"response_json" jsonb NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"expires_at" timestamp with time zone NOT NULL,
	CONSTRAINT "coordinator_idempotency_receipts_key" UNIQUE("operation","zone_id","scope_id","key_digest"),
	CONSTRAINT "coordinator_idempotency_receipts_operation_check" CHECK ("coordinator_idempotency_receipts"."operation" in ('session.start.v2', 'delegation.create.v2', 'invocation.create.v2')),
	CONSTRAINT "coordinator_idempotency_receipts_key_digest_check" CHECK (octet_length("coordinator_idempotency_receipts"."key_digest") = 32),
	CONSTRAINT "coordinator_idempotency_receipts_request_digest_check" CHECK (octet_length("coordinator_idempotency_receipts"."request_digest") = 32),
	CONSTRAINT "coordinator_idempotency_receipts_status_check" CHECK ("coordinator_idempotency_receipts"."response_status" between 200 and 299),
	CONSTRAINT "coordinator_idempotency_receipts_response_check" CHECK (octet_length("coordinator_idempotency_receipts"."response_json"::text) <= 65536),
	CONSTRAINT "coordinator_idempotency_receipts_expires_check" CHECK ("coordinator_idempotency_receipts"."expires_at" > "coordinator_idempotency_receipts"."created_at")
);
--> statement-breakpoint
CREATE TABLE "delegation_edges" (
	"id" text PRIMARY KEY NOT NULL,
	"zone_id" text NOT NULL,
	"source_agent_id" text NOT NULL,
	"target_agent_id" text NOT NULL,
	"issuer_application_id" text NOT NULL,
	"receiver_application_id" text NOT NULL,
	"resource_id" text,
	"parent_edge_id" text,
	"scopes" text[] DEFAULT '{}'::text[] NOT NULL,
	"constraints_json" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"status" text DEFAULT 'active' NOT NULL,
	"expires_at" timestamp with time zone NOT NULL,
	"edge_version" integer DEFAULT 0 NOT NULL,
	"revoked_at" timestamp with time zone,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "delegation_edges_zone_id_id_key" UNIQUE("zone_id","id"),
	CONSTRAINT "delegation_edges_status_check" CHECK ("delegation_edges"."status" in ('active', 'revoked', 'expired')),
	CONSTRAINT "delegation_edges_distinct_agents_check" CHECK ("delegation_edges"."source_agent_id" <> "delegation_edges"."target_agent_id"),
	CONSTRAINT "delegation_edges_revoked_check" CHECK (("delegation_edges"."status" = 'revoked') = ("delegation_edges"."revoked_at" is not null))
);
--> statement-breakpoint
CREATE TABLE "delegation_graph_epochs" (
	"zone_id" text PRIMARY KEY NOT NULL,
	"epoch" bigint DEFAULT 0 NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "bus_cursor" (
	"stream" text NOT NULL,
	"grp" text NOT NULL,
	"xid" "xid8" DEFAULT '0' NOT NULL,
	"seq" bigint NOT NULL,
	CONSTRAINT "bus_cursor_pkey" PRIMARY KEY("stream","grp")
);
--> statement-breakpoint
CREATE TABLE "bus_delivery" (
	"grp" text NOT NULL,
	"seq" bigint NOT NULL,
	"stream" text NOT NULL,
	"consumer" text,
	"locked_until" timestamp with time zone,
	"deliveries" integer DEFAULT 0 NOT NULL,
	CONSTRAINT "bus_delivery_pkey" PRIMARY KEY("grp","seq")
);
--> statement-breakpoint
CREATE TABLE "bus_event" (
	"seq" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "bus_event_seq_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"xid" "xid8" DEFAULT pg_current_xact_id() NOT NULL,
	"stream" text NOT NULL,
	"payload" jsonb NOT NULL,
	"at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE UNLOGGED TABLE "ephemera" (
	"key" text PRIMARY KEY NOT NULL,
	"value" text,
	"counter" bigint DEFAULT 0 NOT NULL,
	"expires_at" timestamp with time zone
);
--> statement-breakpoint
CREATE TABLE "authority_records" (
	"id" text PRIMARY KEY NOT NULL,
	"zone_id" text NOT NULL,
	"session_type" text NOT NULL,
	"subject_id" text,
	"parent_id" text,
	"status" text DEFAULT 'active' NOT NULL,
	"expires_at" timestamp with time zone NOT NULL,
	"authenticated_at" timestamp with time zone NOT NULL,
	"claims_json" jsonb,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"revoked_at" timestamp with time zone,
	"revoked_reason" text,
	CONSTRAINT "authority_records_zone_id_id_key" UNIQUE("zone_id","id"),
	CONSTRAINT "authority_records_session_type_check" CHECK ("authority_records"."session_type" in ('user', 'application')),
	CONSTRAINT "authority_records_status_check" CHECK ("authority_records"."status" in ('active', 'revoked', 'expired'))
);
--> statement-breakpoint
CREATE TABLE "secrets" (
	"id" text PRIMARY KEY NOT NULL,
	"zone_id" text NOT NULL,
	"entity_id" text NOT NULL,
	"name" text NOT NULL,
	"type" text NOT NULL,
	"envelope" "bytea" NOT NULL,
	"version" integer DEFAULT 1 NOT NULL,
	"active_from" timestamp with time zone DEFAULT now() NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "secrets_zone_id_entity_id_name_version_key" UNIQUE("zone_id","entity_id","name","version"),
	CONSTRAINT "secrets_type_check" CHECK ("secrets"."type" in ('token', 'password'))
);
--> statement-breakpoint
CREATE TABLE "step_up_challenges" (
	"id" text PRIMARY KEY NOT NULL,
	"zone_id" text NOT NULL,
	"session_id" text,
	"challenge_type" text NOT NULL,
	"metadata_json" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"expires_at" timestamp with time zone NOT NULL,
	"satisfied_at" timestamp with time zone,
	"rejected_at" timestamp with time zone,
	"consumed_at" timestamp with time zone,
	"principal_id" text,
	"resource_set_hash" "bytea",
	"application_id" text,
	"tier" text,
	"approver_class" text DEFAULT 'operator' NOT NULL,
	"privacy_mode" text DEFAULT 'identified' NOT NULL,
	"approver_subject_id" text,
	"approver_session_id" text,
	"decision_reason" text,
	"subject_anchor" text,
	"consumed_authority_record_id" text,
	CONSTRAINT "step_up_challenges_approver_class_check" CHECK ("step_up_challenges"."approver_class" in ('operator', 'subject', 'any')),
	CONSTRAINT "step_up_challenges_privacy_mode_check" CHECK ("step_up_challenges"."privacy_mode" in ('identified', 'pseudonymous', 'anonymous'))
);
--> statement-breakpoint
ALTER TABLE "admin_tokens" ADD CONSTRAINT "admin_tokens_zone_id_fkey" FOREIGN KEY ("zone_id") REFERENCES "zones"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "api_keys" ADD CONSTRAINT "api_keys_zone_id_fkey" FOREIGN KEY ("zone_id") REFERENCES "zones"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "api_keys" ADD CONSTRAINT "api_keys_service_account_id_fkey" FOREIGN KEY ("service_account_id") REFERENCES "service_accounts"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "applications" ADD CONSTRAINT "applications_zone_id_fkey" FOREIGN KEY ("zone_id") REFERENCES "zones"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "console_sessions" ADD CONSTRAINT "console_sessions_account_id_fkey" FOREIGN KEY ("account_id") REFERENCES "console_accounts"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "console_sessions" ADD CONSTRAINT "console_sessions_admin_token_id_fkey" FOREIGN KEY ("admin_token_id") REFERENCES "admin_tokens"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "delegated_grants" ADD CONSTRAINT "delegated_grants_zone_id_fkey" FOREIGN KEY ("zone_id") REFERENCES "zones"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "delegated_grants" ADD CONSTRAINT "delegated_grants_application_fkey" FOREIGN KEY ("zone_id","application_id") REFERENCES "applications"("zone_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "delegated_grants" ADD CONSTRAINT "delegated_grants_resource_fkey" FOREIGN KEY ("zone_id","resource_id") REFERENCES "resources"("zone_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "notification_deliveries" ADD CONSTRAINT "notification_deliveries_sink_fkey" FOREIGN KEY ("zone_id","sink_id") REFERENCES "notification_sinks"("zone_id","id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "notification_sinks" ADD CONSTRAINT "notification_sinks_zone_id_fkey" FOREIGN KEY ("zone_id") REFERENCES "zones"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "policies" ADD CONSTRAINT "policies_zone_id_fkey" FOREIGN KEY ("zone_id") REFERENCES "zones"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "policy_set_bindings" ADD CONSTRAINT "policy_set_bindings_zone_id_fkey" FOREIGN KEY ("zone_id") REFERENCES "zones"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "policy_set_bindings" ADD CONSTRAINT "policy_set_bindings_policy_set_fkey" FOREIGN KEY ("zone_id","policy_set_id") REFERENCES "policy_sets"("zone_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "policy_set_bindings" ADD CONSTRAINT "policy_set_bindings_active_version_fkey" FOREIGN KEY ("policy_set_id","active_version_id") REFERENCES "policy_set_versions"("policy_set_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "policy_set_versions" ADD CONSTRAINT "policy_set_versions_policy_set_id_fkey" FOREIGN KEY ("policy_set_id") REFERENCES "policy_sets"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "policy_sets" ADD CONSTRAINT "policy_sets_zone_id_fkey" FOREIGN KEY ("zone_id") REFERENCES "zones"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "policy_versions" ADD CONSTRAINT "policy_versions_policy_id_fkey" FOREIGN KEY ("policy_id") REFERENCES "policies"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "provider_connections" ADD CONSTRAINT "provider_connections_provider_fkey" FOREIGN KEY ("zone_id","provider_id") REFERENCES "providers"("zone_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "providers" ADD CONSTRAINT "providers_zone_id_fkey" FOREIGN KEY ("zone_id") REFERENCES "zones"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "resources" ADD CONSTRAINT "resources_zone_id_fkey" FOREIGN KEY ("zone_id") REFERENCES "zones"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "resources" ADD CONSTRAINT "resources_credential_provider_fkey" FOREIGN KEY ("zone_id","credential_provider_id") REFERENCES "providers"("zone_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "role_bindings" ADD CONSTRAINT "role_bindings_role_id_fkey" FOREIGN KEY ("role_id") REFERENCES "roles"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "role_bindings" ADD CONSTRAINT "role_bindings_zone_id_fkey" FOREIGN KEY ("zone_id") REFERENCES "zones"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "roles" ADD CONSTRAINT "roles_zone_id_fkey" FOREIGN KEY ("zone_id") REFERENCES "zones"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "secret_store" ADD CONSTRAINT "secret_store_zone_id_fkey" FOREIGN KEY ("zone_id") REFERENCES "zones"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "service_accounts" ADD CONSTRAINT "service_accounts_zone_id_fkey" FOREIGN KEY ("zone_id") REFERENCES "zones"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "subject_issuers" ADD CONSTRAINT "subject_issuers_zone_id_fkey" FOREIGN KEY ("zone_id") REFERENCES "zones"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "workloads" ADD CONSTRAINT "workloads_zone_id_fkey" FOREIGN KEY ("zone_id") REFERENCES "zones"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "agent_invocations" ADD CONSTRAINT "agent_invocations_zone_id_fkey" FOREIGN KEY ("zone_id") REFERENCES "zones"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "agent_invocations" ADD CONSTRAINT "agent_invocations_service_fkey" FOREIGN KEY ("zone_id","service_id") REFERENCES "agent_services"("zone_id","id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "agent_invocations" ADD CONSTRAINT "agent_invocations_source_session_fkey" FOREIGN KEY ("zone_id","source_session_id") REFERENCES "agent_sessions"("zone_id","id") ON DELETE set null ("source_session_id") ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "agent_invocations" ADD CONSTRAINT "agent_invocations_target_session_fkey" FOREIGN KEY ("zone_id","target_session_id") REFERENCES "agent_sessions"("zone_id","id") ON DELETE set null ("target_session_id") ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "agent_services" ADD CONSTRAINT "agent_services_zone_id_fkey" FOREIGN KEY ("zone_id") REFERENCES "zones"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "agent_services" ADD CONSTRAINT "agent_services_application_fkey" FOREIGN KEY ("zone_id","application_id") REFERENCES "applications"("zone_id","id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "agent_services" ADD CONSTRAINT "agent_services_agent_session_fkey" FOREIGN KEY ("zone_id","agent_session_id") REFERENCES "agent_sessions"("zone_id","id") ON DELETE set null ("agent_session_id") ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "agent_sessions" ADD CONSTRAINT "agent_sessions_zone_id_fkey" FOREIGN KEY ("zone_id") REFERENCES "zones"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "agent_sessions" ADD CONSTRAINT "agent_sessions_application_fkey" FOREIGN KEY ("zone_id","application_id") REFERENCES "applications"("zone_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "agent_sessions" ADD CONSTRAINT "agent_sessions_session_sid_fkey" FOREIGN KEY ("zone_id","session_sid") REFERENCES "authority_records"("zone_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "agent_sessions" ADD CONSTRAINT "agent_sessions_parent_fkey" FOREIGN KEY ("zone_id","parent_id") REFERENCES "agent_sessions"("zone_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "coordinator_idempotency_receipts" ADD CONSTRAINT "coordinator_idempotency_receipts_zone_id_fkey" FOREIGN KEY ("zone_id") REFERENCES "zones"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "delegation_edges" ADD CONSTRAINT "delegation_edges_zone_id_fkey" FOREIGN KEY ("zone_id") REFERENCES "zones"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "delegation_edges" ADD CONSTRAINT "delegation_edges_source_agent_fkey" FOREIGN KEY ("zone_id","source_agent_id") REFERENCES "agent_sessions"("zone_id","id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "delegation_edges" ADD CONSTRAINT "delegation_edges_target_agent_fkey" FOREIGN KEY ("zone_id","target_agent_id") REFERENCES "agent_sessions"("zone_id","id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "delegation_edges" ADD CONSTRAINT "delegation_edges_issuer_application_fkey" FOREIGN KEY ("zone_id","issuer_application_id") REFERENCES "applications"("zone_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "delegation_edges" ADD CONSTRAINT "delegation_edges_receiver_application_fkey" FOREIGN KEY ("zone_id","receiver_application_id") REFERENCES "applications"("zone_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "delegation_edges" ADD CONSTRAINT "delegation_edges_resource_fkey" FOREIGN KEY ("zone_id","resource_id") REFERENCES "resources"("zone_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "delegation_edges" ADD CONSTRAINT "delegation_edges_parent_edge_fkey" FOREIGN KEY ("zone_id","parent_edge_id") REFERENCES "delegation_edges"("zone_id","id") ON DELETE set null ("parent_edge_id") ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "delegation_graph_epochs" ADD CONSTRAINT "delegation_graph_epochs_zone_id_fkey" FOREIGN KEY ("zone_id") REFERENCES "zones"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "authority_records" ADD CONSTRAINT "authority_records_zone_id_fkey" FOREIGN KEY ("zone_id") REFERENCES "zones"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "authority_records" ADD CONSTRAINT "authority_records_parent_fkey" FOREIGN KEY ("zone_id","parent_id") REFERENCES "authority_records"("zone_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "secrets" ADD CONSTRAINT "secrets_zone_id_fkey" FOREIGN KEY ("zone_id") REFERENCES "zones"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "step_up_challenges" ADD CONSTRAINT "step_up_challenges_zone_id_fkey" FOREIGN KEY ("zone_id") REFERENCES "zones"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "step_up_challenges" ADD CONSTRAINT "step_up_challenges_application_fkey" FOREIGN KEY ("zone_id","application_id") REFERENCES "applications"("zone_id","id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "audit_dead_letters_received_at_idx" ON "audit_dead_letters" USING btree ("received_at");--> statement-breakpoint
CREATE INDEX "audit_events_zone_id_chain_seq_idx" ON "audit_events" USING btree ("zone_id","chain_seq" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "audit_events_zone_id_occurred_at_idx" ON "audit_events" USING btree ("zone_id","occurred_at" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "audit_events_request_id_idx" ON "audit_events" USING btree ("request_id") WHERE "audit_events"."request_id" is not null;--> statement-breakpoint
CREATE INDEX "audit_events_agent_session_id_idx" ON "audit_events" USING btree (("metadata_json" ->> 'agent_session_id')) WHERE "audit_events"."metadata_json" ? 'agent_session_id';--> statement-breakpoint
CREATE INDEX "audit_events_session_id_idx" ON "audit_events" USING btree (("metadata_json" ->> 'session_id')) WHERE "audit_events"."metadata_json" ? 'session_id';--> statement-breakpoint
CREATE INDEX "audit_events_agent_labels_idx" ON "audit_events" USING gin (("metadata_json" -> 'agent_labels'));--> statement-breakpoint
CREATE INDEX "audit_ingest_alerts_zone_id_observed_at_idx" ON "audit_ingest_alerts" USING btree ("zone_id","observed_at" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "admin_audit_events_actor_id_occurred_at_idx" ON "admin_audit_events" USING btree ("actor_id","occurred_at" DESC NULLS LAST) WHERE "admin_audit_events"."actor_id" is not null;--> statement-breakpoint
CREATE INDEX "admin_audit_events_zone_id_chain_seq_idx" ON "admin_audit_events" USING btree ("zone_id","chain_seq" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "admin_audit_events_request_id_idx" ON "admin_audit_events" USING btree ("request_id");--> statement-breakpoint
CREATE INDEX "admin_audit_events_zone_id_occurred_at_idx" ON "admin_audit_events" USING btree ("zone_id","occurred_at" DESC NULLS LAST);--> statement-breakpoint
CREATE UNIQUE INDEX "admin_tokens_token_lookup_key" ON "admin_tokens" USING btree ("token_lookup") WHERE "admin_tokens"."revoked_at" is null;--> statement-breakpoint
CREATE INDEX "admin_tokens_zone_id_idx" ON "admin_tokens" USING btree ("zone_id") WHERE "admin_tokens"."revoked_at" is null and "admin_tokens"."scope" = 'zone';--> statement-breakpoint
CREATE INDEX "api_keys_service_account_id_idx" ON "api_keys" USING btree ("service_account_id");--> statement-breakpoint
CREATE INDEX "api_keys_keyset_idx" ON "api_keys" USING btree ("zone_id","created_at" DESC NULLS LAST,"id" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "applications_zone_id_idx" ON "applications" USING btree ("zone_id");--> statement-breakpoint
CREATE INDEX "applications_zone_id_expires_at_idx" ON "applications" USING btree ("zone_id","expires_at") WHERE "applications"."expires_at" is not null;--> statement-breakpoint
CREATE INDEX "applications_keyset_idx" ON "applications" USING btree ("zone_id","created_at" DESC NULLS LAST,"id" DESC NULLS LAST) WHERE "applications"."archived_at" is null;--> statement-breakpoint
CREATE INDEX "console_sessions_account_id_idx" ON "console_sessions" USING btree ("account_id") WHERE "console_sessions"."account_id" is not null;--> statement-breakpoint
CREATE INDEX "console_sessions_expires_at_idx" ON "console_sessions" USING btree ("expires_at");--> statement-breakpoint
CREATE INDEX "delegated_grants_zone_id_user_id_idx" ON "delegated_grants" USING btree ("zone_id","user_id");--> statement-breakpoint
CREATE INDEX "delegated_grants_zone_id_user_id_resource_id_status_idx" ON "delegated_grants" USING btree ("zone_id","user_id","resource_id","status");--> statement-breakpoint
CREATE INDEX "delegated_grants_keyset_idx" ON "delegated_grants" USING btree ("zone_id","created_at" DESC NULLS LAST,"id" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "notification_deliveries_due_idx" ON "notification_deliveries" USING btree ("available_at") WHERE "notification_deliveries"."delivered_at" is null and "notification_deliveries"."abandoned_at" is null;--> statement-breakpoint
CREATE INDEX "notification_deliveries_settled_idx" ON "notification_deliveries" USING btree ("created_at") WHERE "notification_deliveries"."delivered_at" is not null or "notification_deliveries"."abandoned_at" is not null;--> statement-breakpoint
CREATE INDEX "notification_deliveries_sink_id_keyset_idx" ON "notification_deliveries" USING btree ("sink_id","created_at" DESC NULLS LAST,"id" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "notification_sinks_keyset_idx" ON "notification_sinks" USING btree ("zone_id","created_at" DESC NULLS LAST,"id" DESC NULLS LAST);--> statement-breakpoint
CREATE UNIQUE INDEX "policies_zone_id_name_key" ON "policies" USING btree ("zone_id","name") WHERE "policies"."archived_at" is null;--> statement-breakpoint
CREATE INDEX "policies_keyset_idx" ON "policies" USING btree ("zone_id","created_at" DESC NULLS LAST,"id" DESC NULLS LAST) WHERE "policies"."archived_at" is null;--> statement-breakpoint
CREATE UNIQUE INDEX "policy_set_bindings_active_key" ON "policy_set_bindings" USING btree ("zone_id") WHERE "policy_set_bindings"."active_version_id" is not null;--> statement-breakpoint
CREATE UNIQUE INDEX "policy_sets_zone_id_name_key" ON "policy_sets" USING btree ("zone_id","name") WHERE "policy_sets"."archived_at" is null;--> statement-breakpoint
CREATE INDEX "policy_sets_keyset_idx" ON "policy_sets" USING btree ("zone_id","created_at" DESC NULLS LAST,"id" DESC NULLS LAST) WHERE "policy_sets"."archived_at" is null;--> statement-breakpoint
CREATE INDEX "policy_versions_policy_id_created_at_idx" ON "policy_versions" USING btree ("policy_id","created_at" DESC NULLS LAST);--> statement-breakpoint
CREATE UNIQUE INDEX "provider_connections_active_key" ON "provider_connections" USING btree ("zone_id","subject_id","provider_id") WHERE "provider_connections"."status" = 'active';--> statement-breakpoint
CREATE INDEX "provider_connections_provider_id_status_idx" ON "provider_connections" USING btree ("zone_id","provider_id","status");--> statement-breakpoint
CREATE INDEX "provider_connections_subject_id_status_idx" ON "provider_connections" USING btree ("zone_id","subject_id","status");--> statement-breakpoint
CREATE UNIQUE INDEX "providers_zone_id_identifier_key" ON "providers" USING btree ("zone_id","identifier") WHERE "providers"."archived_at" is null;--> statement-breakpoint
CREATE INDEX "providers_keyset_idx" ON "providers" USING btree ("zone_id","created_at" DESC NULLS LAST,"id" DESC NULLS LAST) WHERE "providers"."archived_at" is null;--> statement-breakpoint
CREATE INDEX "providers_active_idx" ON "providers" USING btree ("id") WHERE "providers"."archived_at" is null;--> statement-breakpoint
CREATE UNIQUE INDEX "resources_zone_id_identifier_key" ON "resources" USING btree ("zone_id","identifier") WHERE "resources"."archived_at" is null;--> statement-breakpoint
CREATE INDEX "resources_credential_provider_id_idx" ON "resources" USING btree ("credential_provider_id");--> statement-breakpoint
CREATE INDEX "resources_keyset_idx" ON "resources" USING btree ("zone_id","created_at" DESC NULLS LAST,"id" DESC NULLS LAST) WHERE "resources"."archived_at" is null;--> statement-breakpoint
CREATE INDEX "resources_active_idx" ON "resources" USING btree ("id") WHERE "resources"."archived_at" is null;--> statement-breakpoint
CREATE INDEX "role_bindings_subject_idx" ON "role_bindings" USING btree ("subject_kind","subject_id");--> statement-breakpoint
CREATE INDEX "role_bindings_keyset_idx" ON "role_bindings" USING btree ("zone_id","created_at" DESC NULLS LAST,"id" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "roles_keyset_idx" ON "roles" USING btree ("zone_id","created_at" DESC NULLS LAST,"id" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "secret_store_zone_id_idx" ON "secret_store" USING btree ("zone_id");--> statement-breakpoint
CREATE INDEX "service_accounts_keyset_idx" ON "service_accounts" USING btree ("zone_id","created_at" DESC NULLS LAST,"id" DESC NULLS LAST);--> statement-breakpoint
CREATE UNIQUE INDEX "subject_issuers_zone_id_issuer_key" ON "subject_issuers" USING btree ("zone_id","issuer") WHERE "subject_issuers"."archived_at" is null;--> statement-breakpoint
CREATE INDEX "subject_issuers_keyset_idx" ON "subject_issuers" USING btree ("zone_id","created_at" DESC NULLS LAST,"id" DESC NULLS LAST) WHERE "subject_issuers"."archived_at" is null;--> statement-breakpoint
CREATE INDEX "workloads_keyset_idx" ON "workloads" USING btree ("zone_id","created_at" DESC NULLS LAST,"id" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "zones_active_idx" ON "zones" USING btree ("id") WHERE "zones"."archived_at" is null;--> statement-breakpoint
CREATE INDEX "zones_owner_account_id_idx" ON "zones" USING btree ("owner_account_id") WHERE "zones"."owner_account_id" is not null;--> statement-breakpoint
CREATE INDEX "agent_invocations_status_idx" ON "agent_invocations" USING btree ("status");--> statement-breakpoint
CREATE INDEX "agent_invocations_deadline_at_idx" ON "agent_invocations" USING btree ("deadline_at") WHERE "agent_invocations"."status" = 'running';--> statement-breakpoint
CREATE INDEX "agent_invocations_zone_id_service_id_status_created_at_idx" ON "agent_invocations" USING btree ("zone_id","service_id","status","created_at" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "agent_invocations_zone_id_source_session_id_status_idx" ON "agent_invocations" USING btree ("zone_id","source_session_id","status") WHERE "agent_invocations"."source_session_id" is not null;--> statement-breakpoint
CREATE INDEX "agent_invocations_zone_id_target_session_id_status_idx" ON "agent_invocations" USING btree ("zone_id","target_session_id","status") WHERE "agent_invocations"."target_session_id" is not null;--> statement-breakpoint
CREATE INDEX "agent_services_zone_id_application_id_idx" ON "agent_services" USING btree ("zone_id","application_id");--> statement-breakpoint
CREATE INDEX "agent_services_zone_id_health_idx" ON "agent_services" USING btree ("zone_id","health");--> statement-breakpoint
CREATE INDEX "agent_services_zone_id_agent_session_id_idx" ON "agent_services" USING btree ("zone_id","agent_session_id") WHERE "agent_services"."agent_session_id" is not null;--> statement-breakpoint
CREATE INDEX "agent_services_last_heartbeat_at_idx" ON "agent_services" USING btree ("last_heartbeat_at") WHERE "agent_services"."health" in ('healthy', 'degraded');--> statement-breakpoint
CREATE INDEX "agent_sessions_zone_id_application_id_idx" ON "agent_sessions" USING btree ("zone_id","application_id");--> statement-breakpoint
CREATE INDEX "agent_sessions_zone_id_status_idx" ON "agent_sessions" USING btree ("zone_id","status");--> statement-breakpoint
CREATE INDEX "agent_sessions_zone_id_parent_id_status_idx" ON "agent_sessions" USING btree ("zone_id","parent_id","status");--> statement-breakpoint
CREATE INDEX "agent_sessions_session_sid_idx" ON "agent_sessions" USING btree ("session_sid");--> statement-breakpoint
CREATE INDEX "agent_sessions_keyset_idx" ON "agent_sessions" USING btree ("zone_id","created_at" DESC NULLS LAST,"id" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "agent_sessions_last_active_at_idx" ON "agent_sessions" USING btree ("last_active_at") WHERE "agent_sessions"."status" = 'active';--> statement-breakpoint
CREATE INDEX "agent_sessions_heartbeat_deadline_at_idx" ON "agent_sessions" USING btree ("heartbeat_deadline_at") WHERE "agent_sessions"."status" = 'active' and "agent_sessions"."lifecycle" = 'service';--> statement-breakpoint
CREATE INDEX "agent_sessions_terminated_at_idx" ON "agent_sessions" USING btree ("terminated_at","id") WHERE "agent_sessions"."status" in ('terminated', 'expired');--> statement-breakpoint
CREATE INDEX "caracal_outbox_status_available_at_idx" ON "caracal_outbox" USING btree ("status","available_at");--> statement-breakpoint
CREATE INDEX "caracal_outbox_topic_status_idx" ON "caracal_outbox" USING btree ("topic","status");--> statement-breakpoint
CREATE INDEX "caracal_outbox_pending_idx" ON "caracal_outbox" USING btree ("created_at","id") WHERE "caracal_outbox"."status" = 'pending';--> statement-breakpoint
CREATE INDEX "caracal_outbox_published_at_idx" ON "caracal_outbox" USING btree ("published_at") WHERE "caracal_outbox"."status" = 'published';--> statement-breakpoint
CREATE INDEX "coordinator_idempotency_receipts_expires_at_idx" ON "coordinator_idempotency_receipts" USING btree ("expires_at","id");--> statement-breakpoint
CREATE INDEX "delegation_edges_expires_at_idx" ON "delegation_edges" USING btree ("expires_at") WHERE "delegation_edges"."status" = 'active';--> statement-breakpoint
CREATE INDEX "delegation_edges_zone_id_source_agent_id_status_idx" ON "delegation_edges" USING btree ("zone_id","source_agent_id","status");--> statement-breakpoint
CREATE INDEX "delegation_edges_zone_id_target_agent_id_status_idx" ON "delegation_edges" USING btree ("zone_id","target_agent_id","status");--> statement-breakpoint
CREATE INDEX "delegation_edges_zone_id_resource_id_status_idx" ON "delegation_edges" USING btree ("zone_id","resource_id","status") WHERE "delegation_edges"."resource_id" is not null;--> statement-breakpoint
CREATE INDEX "delegation_edges_zone_id_parent_edge_id_idx" ON "delegation_edges" USING btree ("zone_id","parent_edge_id") WHERE "delegation_edges"."parent_edge_id" is not null;--> statement-breakpoint
CREATE INDEX "delegation_edges_keyset_idx" ON "delegation_edges" USING btree ("zone_id","created_at" DESC NULLS LAST,"id" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "bus_delivery_grp_stream_locked_until_idx" ON "bus_delivery" USING btree ("grp","stream","locked_until");--> statement-breakpoint
CREATE INDEX "bus_event_stream_xid_seq_idx" ON "bus_event" USING btree ("stream","xid","seq");--> statement-breakpoint
CREATE INDEX "ephemera_expires_at_idx" ON "ephemera" USING btree ("expires_at");--> statement-breakpoint
CREATE INDEX "authority_records_expires_at_idx" ON "authority_records" USING btree ("expires_at") WHERE "authority_records"."status" = 'active';--> statement-breakpoint
CREATE INDEX "authority_records_zone_id_expires_at_idx" ON "authority_records" USING btree ("zone_id","expires_at") WHERE "authority_records"."status" = 'active';--> statement-breakpoint
CREATE INDEX "authority_records_keyset_idx" ON "authority_records" USING btree ("zone_id","created_at" DESC NULLS LAST,"id" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "authority_records_zone_id_subject_id_status_idx" ON "authority_records" USING btree ("zone_id","subject_id","status");--> statement-breakpoint
CREATE INDEX "authority_records_zone_id_parent_id_idx" ON "authority_records" USING btree ("zone_id","parent_id") WHERE "authority_records"."parent_id" is not null;--> statement-breakpoint
CREATE INDEX "secrets_zone_id_entity_id_idx" ON "secrets" USING btree ("zone_id","entity_id");--> statement-breakpoint
CREATE UNIQUE INDEX "step_up_challenges_open_key" ON "step_up_challenges" USING btree ("zone_id","principal_id","session_id","resource_set_hash") NULLS NOT DISTINCT WHERE "step_up_challenges"."consumed_at" is null;--> statement-breakpoint
CREATE INDEX "step_up_challenges_application_id_idx" ON "step_up_challenges" USING btree ("application_id");--> statement-breakpoint
CREATE INDEX "step_up_challenges_approver_subject_id_idx" ON "step_up_challenges" USING btree ("approver_subject_id");--> statement-breakpoint
CREATE INDEX "step_up_challenges_expires_at_idx" ON "step_up_challenges" USING btree ("expires_at");--> statement-breakpoint
CREATE INDEX "step_up_challenges_session_id_idx" ON "step_up_challenges" USING btree ("session_id");--> statement-breakpoint
CREATE INDEX "step_up_challenges_zone_id_principal_id_idx" ON "step_up_challenges" USING btree ("zone_id","principal_id") WHERE "step_up_challenges"."consumed_at" is null;--> statement-breakpoint
CREATE INDEX "step_up_challenges_keyset_idx" ON "step_up_challenges" USING btree ("zone_id","created_at" DESC NULLS LAST,"id" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "step_up_challenges_sweep_idx" ON "step_up_challenges" USING btree (greatest(coalesce("consumed_at", '-infinity'::timestamptz), coalesce("rejected_at", '-infinity'::timestamptz), "expires_at"));
ALTER TABLE "ephemera" SET (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000);
ALTER TABLE "bus_delivery" SET (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000);
