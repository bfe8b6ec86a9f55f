"""Take images/lesson.png again: uv run python images/screenshot.py (needs chromium).

It shows what a JupyterLab of its own opens first.
"""

import os
import secrets
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parent.parent
PORT = 8871

token = secrets.token_hex()
with tempfile.TemporaryDirectory() as home:
    env = os.environ | {"HOME": home}
    lab = ["jupyter", "lab", "--no-browser", f"--port={PORT}", f"--IdentityProvider.token={token}"]
    server = subprocess.Popen(lab, cwd=ROOT, env=env)
    try:
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{PORT}/api?token={token}").close()
                break
            except OSError:
                time.sleep(0.2)
        browser = ["chromium", "--headless", "--no-sandbox", "--hide-scrollbars", "--disable-gpu"]
        browser += ["--disable-background-networking", "--disable-component-update"]
        browser += ["--window-size=1280,1000", "--virtual-time-budget=60000"]
        browser += [f"--screenshot={ROOT / 'images' / 'lesson.png'}", f"--user-data-dir={home}/c"]
        browser.append(f"http://127.0.0.1:{PORT}/?token={token}")
        subprocess.run(browser, check=True, env=env)
    finally:
        server.terminate()
        server.wait()
