-- How often the principal of a hold was approved and rejected before is counted from these alone.
create index step_up_challenges_approved_idx on step_up_challenges (zone_id, principal_id, created_at, id) where satisfied_at is not null;
create index step_up_challenges_rejected_idx on step_up_challenges (zone_id, principal_id, created_at, id) where rejected_at is not null;
