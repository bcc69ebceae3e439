"""Server actions: one value as one word, run once and over, whatever the server says meanwhile."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadwatch.acting import Acting
from loadwatch.core.action import Done, shell_line
from loadwatch.core.errors import HostError, PlanError
from loadwatch.core.plan import Action, Host, Plan, Scenario, Seconds, Target, Value
from loadwatch.core.reading import HostNote, HostStatus, Reading
from loadwatch.remote import HostMonitor
from loadwatch.remote.action import perform
from loadwatch.remote.link import LinkError
from loadwatch.remote.local import LocalLink
from loadwatch.run import Run
from loadwatch.session import open_session
from tests.accounts import accounts, server_for
from tests.servers import OK, serving
from tests.sshd import Sshd, eventually, log_in, sshd, start_sshd
from tests.test_config import HOME, TARGET, decode
from tests.test_endings import SHELLS

__all__ = ["sshd", "start_sshd"]  # the fixtures


# -- the line ------------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(st.text().filter(lambda text: text.isprintable()))
def test_any_value_is_one_word_to_a_shell(value: str) -> None:
    line = shell_line(Action("a", "printf '<%s>' before {value} x{value}x", ()), value)
    done = subprocess.run(["/bin/sh", "-c", line], capture_output=True, check=True)
    assert done.stdout.decode() == f"<before><{value}><x{value}x>"


@pytest.mark.parametrize(
    "command",
    [
        "echo '{value}'", 'echo "{value}"', r"echo \{value}", "sudo sh -c 'n={value} run'",
        "echo `echo {value}`", "cat <<END\n{value}\nEND", 'echo "it\'s {value}"',
        'echo "\\"{value}"', "echo \"$(echo {value})\" {value}", "echo 'a' '{value}' {value}",
    ],
)  # fmt: skip
def test_within_quotes_only_plain_values_are_safe(command: str) -> None:
    assert shell_line(Action("a", command, ()), 5) == command.replace("{value}", "5")
    for value in ("$(id)", "a b", "it's", "`id`"):
        with pytest.raises(ValueError, match="is not safe"):
            shell_line(Action("a", command, ()), value)


ACTION = TARGET + HOME + '[[host]]\nname = "web"\nssh = "local"\n[[host.action]]\nname = "n"\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('command = "x {value}"\nvalues = []', "host.action.n: it takes values, and {value}"),
        ('command = "x"\nvalues = [1]', "host.action.n: it takes values, and {value}"),
        ('command = "x \'{value}\'"\nvalues = ["a b"]', "host.action.n.command: {value} stands"),
        ('command = "x \' {value}"\nvalues = [1]', "host.action.n.command: its quotes do not"),
        ('command = "x {value}"\nvalues = ["\\u001b"]', "holds what cannot be printed"),
        ('command = "x {value}"\nvalues = [true]', "host[0].action[0].values"),
        ('command = "x {value}"\nvalues = [1]\nwait = "200"', "host.action.n.wait: expected some"),
        ('command = "x {value}"\nvalues = [1]\nwiat = "x"', "did you mean `wait`?"),
        ('command = "x {value}"\nvalues = [1]\n[[host.action]]\nname = "n"\ncommand = "{value}"\n'
         "values = [1]", "host.action: the name 'n' is given twice"),
    ],
)  # fmt: skip
def test_a_wrong_action_is_one_line(text: str, message: str) -> None:
    with pytest.raises(PlanError) as wrong:
        decode(ACTION + text)
    assert message in str(wrong.value)


def test_an_action_of_a_plan() -> None:
    plan = decode(ACTION + 'command = "set {value}"\nvalues = [2, "five", 0.5]\ntimeout = "5m"')
    assert plan.hosts[0].actions == (
        Action("n", "set {value}", (2, "five", 0.5), None, Seconds(300)),
    )


# -- on a host -----------------------------------------------------------------------------------


def do(command: str, timeout: float = 20.0) -> Done:
    return perform(LocalLink(), command, timeout, threading.Event())


def test_output_and_exit_code_are_told() -> None:
    assert do("echo one; echo two >&2; exit 3") == Done(3, ("one", "two"))
    assert str(do("printf 'no newline'")) == "exit code 0: no newline"
    assert do("exec 5</nonexistent").code != 0
    assert do("cat") == Done(0)  # nothing to read: it is not asked


def test_what_it_says_cannot_reach_the_terminal_as_more_than_text() -> None:
    done = do(
        r"printf '\033]0;evil\007\033[2J\rhidden\n\342\200\256txt\n'; head -c 100000 /dev/zero"
    )
    assert all(line.isprintable() for line in done.output)
    assert sum(map(len, done.output)) < 5000
    forged = do("echo; echo LW1 0123456789abcdef exit 0; exit 4")
    assert forged == Done(4, ("LW1 0123456789abcdef exit 0",))


def test_a_daemon_stays_when_the_action_is_over(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    done = do(f"sleep 60 >/dev/null 2>&1 & echo $! >{pid}")
    daemon = int(pid.read_text())
    try:
        assert done.code == 0
        os.kill(daemon, 0)
    finally:
        os.kill(daemon, signal.SIGKILL)


def test_one_that_keeps_our_pipes_does_not_hold_us(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    done = do(f"sleep 60 & echo $! >{pid}; echo started")
    daemon = int(pid.read_text())
    try:
        assert done == Done(0, ("started",))
        os.kill(daemon, 0)
    finally:
        os.kill(daemon, signal.SIGKILL)


def test_one_that_takes_too_long_is_given_up() -> None:
    with pytest.raises(HostError, match="is not over: it was given up"):
        do("sleep 30", timeout=0.3)
    stopping = threading.Event()
    stopping.set()
    with pytest.raises(HostError, match="given up"):
        perform(LocalLink(), "sleep 30", 60, stopping)


def test_a_shell_that_goes_is_no_success() -> None:
    with pytest.raises(HostError, match="did not run to its end"):
        do("kill -9 $$")


# -- over SSH ------------------------------------------------------------------------------------


@contextmanager
def watched(host: Host) -> Iterator[HostMonitor]:
    """A monitor that watches `host`."""
    items: list[Reading | HostStatus | HostNote] = []
    monitor = HostMonitor(host, items.append)
    monitor.start()
    try:
        assert eventually(lambda: monitor.status.state == "live"), monitor.status
        yield monitor
    finally:
        monitor.stop()
        assert monitor.join(20)


def test_it_runs_over_the_connection_that_watches(sshd: Sshd, tmp_path: Path) -> None:
    with watched(Host("web", "web")) as monitor:
        (before,) = sshd.sessions()
        done = monitor.perform("echo $SSH_CONNECTION; sleep 60 >/dev/null 2>&1 &", 20)
        assert sshd.sessions() == [before]
        assert done.code == 0 and done.output[0].startswith("127.0.0.1 ")
    # The guard ends what it guards; what an action has started stays.
    assert eventually(lambda: list(sshd.leftovers().values()) == ["sleep 60 "])
    with pytest.raises(HostError, match="host web: not connected"):
        monitor.perform("true", 20)


def test_a_connection_that_goes_meanwhile_is_told(sshd: Sshd) -> None:
    with watched(Host("web", "web")) as monitor:
        threading.Timer(0.5, sshd.drop).start()
        with pytest.raises(LinkError):
            monitor.perform("sleep 30", 20)


def test_any_login_shell_takes_it() -> None:
    """Past what its profile prints, with all that a shell could take for a sign of its own."""
    awkward = 'it\'s `a` $(b) \\c !d "e" *'
    line = shell_line(Action("a", "printf '%s\\n' {value}", ()), awkward)
    with (
        accounts(SHELLS) as users,
        server_for(users) as server,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("HOME", str(server.home))
        patch.delenv("SSH_AUTH_SOCK", raising=False)
        for shell in users:
            link = log_in(shell)
            try:
                assert perform(link, line, 20, threading.Event()) == Done(0, (awkward,)), shell
            finally:
                link.close()


# -- in a run ------------------------------------------------------------------------------------


@asynccontextmanager
async def returning(after: int) -> AsyncIterator[str]:
    """A target that refuses its first `after` requests."""
    asked = 0

    async def behave(head: bytes, writer: asyncio.StreamWriter) -> bool:
        nonlocal asked
        asked += 1
        bad = b"HTTP/1.1 503 Soon\r\nContent-Length: 0\r\n\r\n"
        writer.write(bad if asked <= after else OK)
        return True

    async with serving(behave) as port:
        yield f"http://127.0.0.1:{port}"


def acting(url: str, told: list[str], wait: str | None, performed: Done) -> Acting:
    action = Action("backends", "set {value}", (2, 5), wait, Seconds(1))
    plan = Plan(
        Target(url), scenarios=(Scenario("home"),), hosts=(Host("web", "local", actions=(action,)),)
    )

    async def run(host: str, line: str, timeout: float) -> Done:
        told.append(f"{host}$ {line}")
        return performed

    return Acting(
        plan,
        run,
        lambda kind, text, host: told.append(text),
        lambda text: told.append(f"mark {text}"),
    )


async def test_a_mark_opens_when_the_target_is_back() -> None:
    told: list[str] = []
    async with returning(after=1) as url:
        done = await acting(url, told, "http 200 on /x", Done(0, ("fine",))).act("backends", 5)
    assert done.code == 0
    assert told == [
        "backends = 5 …",
        "web$ set 5",
        "backends = 5: exit code 0: fine",
        "mark backends = 5",
    ]


async def test_a_failure_opens_none() -> None:
    told: list[str] = []
    done = await acting("http://127.0.0.1:9", told, "http 200 on /", Done(1)).act("backends", 2)
    assert done == Done(1) and told[-1] == "backends = 2: exit code 1"


async def test_a_target_that_does_not_come_back_is_told() -> None:
    told: list[str] = []
    async with returning(after=1000) as url:
        with pytest.raises(HostError, match="/ is not back after 1 s: 503"):
            await acting(url, told, "http 200 on /", Done(0)).act("backends", 5)
    assert told[-1] == "backends = 5: / is not back after 1 s: 503"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("restart", 1, "the plan has no action 'restart'; it has: backends"),
        ("backends", 7, "backends has no value 7; it has: 2, 5"),
    ],
)
async def test_nothing_runs_that_the_plan_does_not_name(
    name: str, value: Value, message: str
) -> None:
    told: list[str] = []
    with pytest.raises(PlanError, match=message):
        await acting("http://127.0.0.1:9", told, None, Done(0)).act(name, value)
    assert told == []


async def test_a_real_run_acts_on_this_machine(tmp_path: Path) -> None:
    file = tmp_path / "n"
    action = Action("backends", f"echo {{value}} >{file}; cat {file}", (2, 5), "http 200 on /")
    host = Host("here", "local", actions=(action,))
    async with returning(after=0) as url:
        plan = Plan(Target(url), scenarios=(Scenario("home", rate=5),), hosts=(host,))
        run = Run(plan, tmp_path / "a.loadwatch", endless=True)
        with pytest.raises(HostError, match="not connected"):
            await run.act("backends", 5)
        try:
            await run.start(hosts_first=True)
            assert run.status.actions == {"here": (action,)}
            assert await run.act("backends", 5) == Done(0, ("5",))
            run.find_limit()
            with pytest.raises(PlanError, match="the search for the limit goes on"):
                await run.act("backends", 2)
            await asyncio.sleep(1.5)
        finally:
            run.finish()
            await run.wait(20)
            await run.close()
    assert file.read_text() == "5\n"
    with open_session(tmp_path / "a.loadwatch") as session:
        events = [(e.kind, e.text, e.host) for tick in session.ticks() for e in tick.events]
        assert ("action", "backends = 5: exit code 0: 5", "here") in events
        assert "backends = 5" in {step.mark for step in session.steps}
