"""The real nginx with the configuration of deploy/paddleserving/nginx, on a free port of 127.0.0.1."""

import base64
import json
import os
import shutil
import socket
import ssl
import subprocess

import pytest

from tests.helpers.scripts import LIMIT, ROOT
from tests.helpers.shell import wait_for

CONF = ROOT / "deploy/paddleserving/nginx"
PASSWORD = {"Authorization": "Basic " + base64.b64encode(b"tester:right").decode()}
KEY = {"X-Api-Key": "0123456789abcdef"}
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def missing(*programs):
    """Why tests that run these programs are skipped; "" where all are installed."""
    absent = [program for program in programs if not shutil.which(program)]
    return f"not installed: {', '.join(absent)}; .ci/run installs what tests/apt_packages.txt names" if absent else ""


def need(*programs):
    """Skip the test where a program is not installed."""
    if why := missing(*programs):
        pytest.skip(why)


NEEDS_NGINX = pytest.mark.skipif(bool(missing("nginx", "openssl")), reason=missing("nginx", "openssl") or "installed")


class Nginx:
    """A running nginx: the folder as an operator would edit it, with a certificate, a user and a key.

    Args:
        ports: the instances' HTTP ports on 127.0.0.1.
        grpc_ports: their gRPC ports.
        edits: (file, text, its replacement) of further changes.
    """

    def __init__(self, folder, ports, grpc_ports=(1,), edits=()):
        self.folder, self.port, self.conf = folder, free_port(), folder / "conf"
        shutil.copytree(CONF, self.conf)
        self._edit(edits)
        self._write_secrets()
        for name, listed in (("http", ports), ("grpc", grpc_ports)):
            lines = [f"server 127.0.0.1:{port} max_fails=2 fail_timeout=5s;\n" for port in listed]
            (self.conf / f"instances_{name}.conf").write_text("".join(lines))
        user = "user root; " if os.geteuid() == 0 else ""  # another could not read a test's folder
        main = f"{user}pid {folder}/pid; daemon off; error_log {folder}/error.log;"
        self.command = ["nginx", "-p", str(folder), "-c", str(self.conf / "nginx.conf"), "-g", main]
        tested = subprocess.run([*self.command, "-t"], capture_output=True, text=True, timeout=LIMIT)
        assert tested.returncode == 0, tested.stderr + (folder / "error.log").read_text()
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: self.accepts() or self.process.poll() is not None)
        assert self.process.poll() is None, (folder / "error.log").read_text()

    def _edit(self, edits):
        paths = ""
        for name in TEMPORARY:
            (self.folder / name).mkdir()
            paths += f"{name}_temp_path {self.folder / name};\n"
        edits = [
            ("site.conf", "listen 443", f"listen 127.0.0.1:{self.port}"),
            ("site.conf", "/var/log/nginx/", f"{self.folder}/"),
            ("site.conf", "# requests per second", f"{paths}# requests per second"),
            *edits,
        ]
        for name, text, other in edits:
            content = (self.conf / name).read_text()
            assert content.count(text) == 1, (name, text)
            (self.conf / name).write_text(content.replace(text, other))

    def _write_secrets(self):
        with (self.conf / "keys.conf").open("a") as stream:
            stream.write(f'"{KEY["X-Api-Key"]}" "line 4";\n')
        hashed = output("openssl", "passwd", "-apr1", "right").strip()
        (self.conf / "users").write_text(f"tester:{hashed}\n")
        self.certificate = self.conf / "certificate.pem"
        files = ["-keyout", self.conf / "key.pem", "-out", self.certificate]
        name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
        kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
        output("openssl", "req", "-x509", *kind, *name, *files)

    def accepts(self):
        with socket.socket() as connection:
            return connection.connect_ex(("127.0.0.1", self.port)) == 0

    def connect(self, *protocols):
        """A connection whose certificate is checked, for one of these protocols (ALPN)."""
        context = ssl.create_default_context(cafile=str(self.certificate))
        if protocols:
            context.set_alpn_protocols(protocols)
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=LIMIT)
        return context.wrap_socket(plain, server_hostname="localhost")

    @property
    def log(self):
        """The lines of the access log."""
        return [json.loads(line) for line in (self.folder / "serving.log").read_text().splitlines()]

    def stop(self):
        self.process.terminate()
        return self.process.wait(LIMIT)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def output(*words):
    return subprocess.run([*map(str, words)], check=True, capture_output=True, text=True, timeout=LIMIT).stdout
