-- Under forced row security no plan can narrow by these: operators on jsonb are not leakproof, so they are
-- only asked about rows the policy has let through. Every stored event paid for all three.
drop index audit_events_agent_session_id_idx;
drop index audit_events_session_id_idx;
drop index audit_events_agent_labels_idx;
