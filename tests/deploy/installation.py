"""A deployment on this machine without containers: the same files, with Debian's PostgreSQL and nginx.

Servers listen on free ports of 127.0.0.1, keep what they write below one folder, and end with the test.
"""

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

ROOT = Path(__file__).parents[2]
HOST = "fashion.example.com"
PASSWORDS = {"viewers": ("vera", "look"), "operators": ("olga", "push")}
_POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
_PATIENCE = 180.0  # s: a Python server on a busy machine starts slowly


def missing() -> list[str]:
    """What this machine lacks for it."""
    there = {
        "postgresql": bool(_POSTGRES),
        "nginx": shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin") is not None,
        "openssl": shutil.which("openssl") is not None,
        "dagster-postgres": importlib.util.find_spec("dagster_postgres") is not None,
    }
    return [name for name, found in there.items() if not found]


def free_ports(count: int) -> list[int]:
    """Ports on which nobody listens."""
    with ExitStack() as stack:
        servers = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [server.getsockname()[1] for server in servers]


@dataclass
class Installation:
    """Starts what `deploy/compose.yaml` names, and stops it."""

    folder: Path
    stack: ExitStack
    ports: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = ("postgres", "code", "view", "operate", "search", "search_door", "view_door", "operate_door")
        self.ports = dict(zip(names, free_ports(len(names)), strict=True))
        self.folder.chmod(0o755)
        (self.folder / "home").mkdir()
        for name in ("dagster.yaml", "workspace.yaml"):
            shutil.copy(ROOT / "deploy" / name, self.folder / "home")

    @property
    def environment(self) -> dict[str, str]:
        """Variables of every Dagster process."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("FASHION_", "DAGSTER_"))}
        return kept | {
            "PYTHONPATH": str(ROOT),
            "PYTHONWARNINGS": "ignore",
            "DAGSTER_HOME": str(self.folder / "home"),
            "DAGSTER_CODE_HOST": "127.0.0.1",
            "DAGSTER_CODE_PORT": str(self.ports["code"]),
            "DAGSTER_POSTGRES_HOST": "127.0.0.1",
            "DAGSTER_POSTGRES_PORT": str(self.ports["postgres"]),
            "DAGSTER_POSTGRES_USER": "dagster",
            "DAGSTER_POSTGRES_PASSWORD": "hush",
            "DAGSTER_POSTGRES_DB": "dagster",
            "FASHION_DATA": str(self.folder / "data"),
            "FASHION_POSTS": "40",
        }

    def start(self, name: str, command: list[str], ready: Callable[[], bool]) -> None:
        """Start a server and wait until it is ready; it ends with the stack."""
        with (self.folder / f"{name}.log").open("w") as log:
            process = subprocess.Popen(
                command, stdout=log, stderr=log, env=self.environment, cwd=self.folder, start_new_session=True
            )
        self.stack.callback(_end, process)
        deadline = time.monotonic() + _PATIENCE
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{name} did not start: {(self.folder / f'{name}.log').read_text()[-3000:]}")
            time.sleep(0.5)

    def listens(self, name: str) -> Callable[[], bool]:
        """Whether somebody answers on the port of that name."""

        def answers() -> bool:
            with socket.socket() as client:
                return client.connect_ex(("127.0.0.1", self.ports[name])) == 0

        return answers

    def postgres(self) -> None:
        """A cluster of its own; Postgres refuses to run as root."""
        cluster = self.folder / "postgres"
        cluster.mkdir()
        secret = self.folder / "secret"
        secret.write_text("hush")
        user = [] if os.geteuid() else ["runuser", "--user", "postgres", "--"]
        if user:
            shutil.chown(cluster, "postgres")
            shutil.chown(secret, "postgres")
        tools = _POSTGRES[-1]
        make = [
            *user,
            str(tools / "initdb"),
            "--pgdata",
            str(cluster),
            "--username",
            "dagster",
            "--auth",
            "scram-sha-256",
        ]
        subprocess.run([*make, "--pwfile", str(secret)], check=True, capture_output=True, cwd="/")
        options = ["-h", "127.0.0.1", "-p", str(self.ports["postgres"]), "-k", str(cluster)]
        self.start("database", [*user, str(tools / "postgres"), "-D", str(cluster), *options], self.listens("postgres"))
        self.ask("create database dagster", "postgres")

    def ask(self, query: str, database: str = "dagster") -> str:
        """What the database answers."""
        address = f"postgresql://dagster:hush@127.0.0.1:{self.ports['postgres']}/{database}"
        command = [str(_POSTGRES[-1] / "psql"), address, "--tuples-only", "--no-align", "--command", query]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def dagster(self) -> None:
        """Code server, daemon, and both web servers."""
        code = ["--host", "127.0.0.1", "--port", str(self.ports["code"]), "--module-name", "pipelines.definitions"]
        # Several servers that make the tables at once trip over each other: one makes them first.
        made = [_tool("dagster"), "instance", "migrate"]
        subprocess.run(made, check=True, capture_output=True, env=self.environment, cwd=self.folder)
        self.start("code", [sys.executable, "-m", "dagster", "code-server", "start", *code], self.listens("code"))
        workspace = ["--workspace", str(self.folder / "home" / "workspace.yaml")]
        for name, more in (("view", ["--read-only"]), ("operate", [])):
            server = [_tool("dagster-webserver"), "--host", "127.0.0.1", "--port", str(self.ports[name]), *more]
            self.start(name, [*server, *workspace], self.listens(name))
        self.start("daemon", [_tool("dagster-daemon"), "run", *workspace], lambda: True)

    def nginx(self) -> None:
        """The proxy, by the template that its container is given."""
        for name in ("auth", "tls", "temp"):
            (self.folder / name).mkdir()
        for group, (user, password) in PASSWORDS.items():
            users = [PASSWORDS["operators"], (user, password)] if group == "viewers" else [(user, password)]
            (self.folder / "auth" / group).write_text("".join(f"{name}:{_hashed(word)}\n" for name, word in users))
        self._certificate()
        names = {"SEARCH": "search", "VIEW": "view", "OPERATE": "operate"}
        values = {f"{key}_PORT": str(self.ports[f"{name}_door"]) for key, name in names.items()}
        values |= {f"{key}_UPSTREAM": f"127.0.0.1:{self.ports[name]}" for key, name in names.items()}
        template = Template((ROOT / "deploy/nginx/fashion.conf.template").read_text())
        doors = template.safe_substitute(values, PUBLIC_HOST=HOST, RESOLVER="127.0.0.1")
        for name in ("auth", "tls"):
            doors = doors.replace(f"/etc/nginx/{name}/", f"{self.folder}/{name}/")
        temporary = [
            f"{kind}_temp_path {self.folder}/temp/{kind};"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        ]
        user = "" if os.geteuid() else "user root;"
        head = f"{user} pid {self.folder}/nginx.pid; error_log stderr; daemon off; events {{}}"
        config = self.folder / "nginx.conf"
        config.write_text(f"{head}\nhttp {{ access_log off; {' '.join(temporary)}\n{doors}\n}}\n")
        nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin") or "nginx"
        subprocess.run([nginx, "-t", "-q", "-e", "stderr", "-c", str(config)], check=True)
        self.start("nginx", [nginx, "-e", "stderr", "-c", str(config)], self.listens("view_door"))

    def _certificate(self) -> None:
        files = ["-keyout", str(self.folder / "tls/tls.key"), "-out", str(self.folder / "tls/tls.crt")]
        subject = ["-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}"]
        make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject, *files]
        subprocess.run(make, check=True, capture_output=True)


def _hashed(password: str) -> str:
    command = ["openssl", "passwd", "-apr1", password]
    made = subprocess.run(command, check=True, capture_output=True, text=True)
    return made.stdout.strip()


def _tool(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a server and all that it started."""
    for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            os.killpg(process.pid, sign)
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                continue
