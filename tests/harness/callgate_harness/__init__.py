"""What the end-to-end tests are made of: the agent, clients, the servers' commands, and the checks at the end.

    class TestSomething(EndToEnd):
        def test_denied(self):
            agent = self.agent({"notes": policy(NOTES_PY.match, denied="delete_note")})
            client = self.client(NOTES_PY.command)
            client.initialize()
            self.assert_denied(client.call("delete_note"))
            self.assertEqual(client.shutdown(), 0)

The agent is always limited to the test's own process tree, and each test ends with the conservation check (every frame
that came in was forwarded, denied, refused or is held), a clean exit and a search for leftovers. Nothing here sleeps to
wait: wait_for() polls a condition until a deadline.

Environment: CALLGATE_BINARY (build/callgate), CALLGATE_MCP_SERVER (the C++ test server), CALLGATE_LONG=1.
"""
import collections
import contextlib
import dataclasses
import fcntl
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import time
import unittest
from pathlib import Path


from .agent import *  # noqa: F401,F403
from .base import *  # noqa: F401,F403
from .checks import *  # noqa: F401,F403
from .conformance import *  # noqa: F401,F403
from .events import *  # noqa: F401,F403
from .http_connection import *  # noqa: F401,F403
from .http_servers import *  # noqa: F401,F403
from .mcp_http import *  # noqa: F401,F403
from .network import *  # noqa: F401,F403
from .policies import *  # noqa: F401,F403
from .processes import *  # noqa: F401,F403
from .sdk_client import *  # noqa: F401,F403
from .servers import *  # noqa: F401,F403
from .stdio_client import *  # noqa: F401,F403
from .systemd_agent import *  # noqa: F401,F403
