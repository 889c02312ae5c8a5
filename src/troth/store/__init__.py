"""SQL: named statements in .sql files, one typed function per statement. PostgreSQL 15 or newer is the only dialect."""
