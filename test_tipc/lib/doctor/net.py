"""Proxies, ports, and the package index."""

import re

from doctor.registry import check, note, ok

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
LOCAL = ("localhost", "127.0.0.1")
PORTS = ("18080", "9993")  # of the official services, for HTTP and gRPC
LISTENING = "0A"  # the state of a socket in /proc/net/tcp


@check
def proxy(around):
    """A proxy that local requests would pass through: then the service seems to be down."""
    named = [name for name in PROXIES if around.environ.get(name)]
    without = (around.environ.get("no_proxy") or around.environ.get("NO_PROXY") or "").replace(" ", "").split(",")
    if not named:
        yield ok("proxy", "none")
    elif "*" in without or all(host in without for host in LOCAL):
        yield ok("proxy", ", ".join(named), "not for this machine itself")
    else:
        means = "requests to a service on this machine go to the proxy, which does not know it; the scripts here avoid"
        means += " that, other clients (curl, official ones) do not"
        remedy = "export no_proxy=localhost,127.0.0.1 NO_PROXY=localhost,127.0.0.1"
        yield note("proxy", ", ".join(named) + ", and no_proxy does not name " + " and ".join(LOCAL), means, remedy)


def _ports(around):
    """The ports that the service takes: of TIPC_SERVING_PORTS, the project's config.yml for it, or the usual ones."""
    named = re.fullmatch(r"(\d+),(\d+)", around.environ.get("TIPC_SERVING_PORTS", ""))
    if named:
        return named.groups()
    for path in sorted(around.project.glob("*/*/config.yml")):
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        found = [re.search(rf"^{name}:\s*(\d+)", text, re.MULTILINE) for name in ("http_port", "rpc_port")]
        if all(found):
            return tuple(match.group(1) for match in found)
    return PORTS


@check
def ports(around):
    used = set()
    for line in (around.read("/proc/net/tcp") + around.read("/proc/net/tcp6")).splitlines():
        words = line.split()
        if len(words) > 3 and words[3] == LISTENING and ":" in words[1]:
            used.add(int(words[1].rpartition(":")[2], 16))
    wanted = _ports(around)
    taken = [port for port in wanted if int(port) in used]
    if taken:
        means = "another program listens there, perhaps a service that was not stopped: 'Address already in use'"
        remedy = "python -m paddle_serving_server.serve stop, or export TIPC_SERVING_PORTS=18081,9994"
        yield note("ports", "{} in use".format(" and ".join(taken)), means, remedy)
    else:
        yield ok("ports", "{} free".format(" and ".join(wanted)))


@check
def package_index(around):
    """Whether pip reaches its index; with --network only."""
    if not around.network:
        yield ok("package index", "not asked", "--network asks it")
        return
    python = around.python or around.which("python3") or "python3"
    words = (
        "-m",
        "pip",
        "index",
        "versions",
        "pip",
        "--retries",
        "0",
        "--timeout",
        "10",
        "--disable-pip-version-check",
    )
    status, printed = around.run(python, *words, seconds=30)
    if status == 0:
        yield ok("package index", "pip reaches it")
    else:
        last = (printed.strip().splitlines() or ["it did not answer"])[-1][:160]
        means = "prepare.sh cannot install anything"
        remedy = "pip config set global.index-url ADDRESS of a mirror, or export https_proxy=…"
        yield note("package index", last, means, remedy)
