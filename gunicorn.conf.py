"""How gunicorn serves mPanel; it reads this by itself where it is started in this folder.

Options on the command line come after this, and win.
"""

import os
import subprocess
import sys

worker_class = "mpanel.serving.Worker"
workers = int(os.environ.get("WEB_CONCURRENCY") or 3)
threads = 8
keepalive = 5  # seconds


def on_starting(_server: object) -> None:
    """Load the application once before any worker does, so that a bad setting is said once.

    Several workers that fail to boot at the same moment end gunicorn with a traceback
    (seen with 27.0.1). A process of its own, so that a reload still brings new code.
    """
    tried = subprocess.run([sys.executable, "-c", "import mpanel.wsgi"], check=False)
    if tried.returncode:
        sys.exit(tried.returncode)
