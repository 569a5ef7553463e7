"""Record what a Paddle script gives to its networks and gets from them, without a change to the script.

    TIPC_OBSERVE=/abs/empty/folder PYTHONPATH=test_tipc/lib/observe python tools/eval.py …

Python imports the first `sitecustomize` on its path when it starts: this one. It has Paddle observed as soon as the
script imports it (tipc_observe/), takes its folder off sys.path, and gives way to the next `sitecustomize`, or to none:
sys.path, sys.modules and what Python says of a broken one are as without it. Nothing else happens without TIPC_OBSERVE.
"""

import os
import sys

_here = os.path.dirname(os.path.abspath(__file__))
if os.environ.get("TIPC_OBSERVE"):
    try:
        import tipc_observe

        tipc_observe.watch()
    except Exception:  # the script runs, observed or not
        pass
sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != _here]
sys.modules.pop(__name__, None)
import sitecustomize  # noqa: E402, F401  the next one; where there is none, site.py expects this very ImportError
