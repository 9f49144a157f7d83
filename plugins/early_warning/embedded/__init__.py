"""PostgreSQL and a mail catcher for a machine that has neither."""
