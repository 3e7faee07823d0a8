-- The root of each block of leaves, so that a proof reads one block of leaves and the roots of the others.
alter table audit_tree_blocks add column root bytea not null;
