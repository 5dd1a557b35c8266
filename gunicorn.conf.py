"""How gunicorn runs the site in production: `gunicorn app:app` reads this file by itself."""

import os

# Loopback unless told otherwise: a proxy that speaks TLS stands in front, or this is somebody's own machine.
_host = os.environ.get("HOST") or "127.0.0.1"
bind = f"{f'[{_host}]' if ':' in _host else _host}:{os.environ.get('PORT') or '8000'}"

# One worker a core: each waits for nothing, so a third on two cores only takes time from the other two.
# The cores that this process may use count, not those of the machine.
_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
workers = int(os.environ.get("WEB_CONCURRENCY") or 0) or _cores

# Greenlets: an open headcount stream or a slow phone costs some kilobytes and no thread, and SQLite sees one thread.
worker_class = "gevent"

# The worker patches the standard library for gevent before it loads the application, which must therefore not be
# loaded before the fork.
preload_app = False

# Streams of the live pages count too; a thousand phones on one worker still leave room for the queue at the doors.
worker_connections = 2000

# What may wait to be accepted while every worker is busy; above it the system refuses at once, which is an answer.
backlog = 1024

# A browser that has the page asks for its style sheet at once; longer would keep idle phones connected. A proxy in
# front should keep its connections for less than this.
keepalive = 5

# A worker whose loop has not turned for this long hangs and is replaced. It does not limit a stream's length.
timeout = 30

# At a restart, what was begun may be finished: no answer takes this long, and the live pages connect again.
graceful_timeout = 15

# Workers are renewed now and then, never all at the same time, so that a slow leak never becomes an incident;
# so rarely that the rush at an opening meets no renewal.
max_requests = 1_000_000
max_requests_jitter = 200_000

# The longest address is a ticket's or a search's, the largest header a cookie: more is no browser.
limit_request_line = 4094
limit_request_fields = 64
limit_request_field_size = 8190

# Who is believed about the client's address and scheme is said once, by TRUSTED_PROXIES, and judged by Werkzeug's
# ProxyFix in the application. By default gunicorn would also believe every loopback peer, an untrusting proxy's
# clients included, so it believes nobody.
forwarded_allow_ips = ""
secure_scheme_headers: dict[str, str] = {}
forwarder_headers = ""

# A heartbeat file on a slow disk would stop a worker's loop; this is memory.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None

# No control socket: nothing here uses it, and it would lie in the home folder.
control_socket_disable = True

# No access log: it would hold addresses and ticket keys. Errors and the coming and going of workers go to stderr.
accesslog = None
errorlog = "-"
loglevel = "info"
