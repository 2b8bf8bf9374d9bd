"""How gunicorn serves mPanel; it reads this by itself where it is started in this folder.

Options on the command line come after this, and win.
"""

import os

worker_class = "mpanel.serving.Worker"
workers = int(os.environ.get("WEB_CONCURRENCY") or 3)
threads = 8
keepalive = 5  # seconds
