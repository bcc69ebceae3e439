"""Second factors: a scripted server asks, as real ones with codes, pushes and hostile words do."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import paramiko
import pytest

from loadwatch.core.asking import Field, Question
from loadwatch.core.errors import HostError
from loadwatch.remote import sshfile
from loadwatch.remote.answers import Answers
from loadwatch.remote.authentication import MOST_PROMPTS, MOST_ROUNDS
from tests.sshd import Person, keygen, log_in, require

Round = tuple[str, str, tuple[tuple[str, bool], ...]]
"""Name, instruction, prompts with their echo (RFC 4256)."""


class Server(paramiko.ServerInterface):
    """Asks `rounds` to log in, after a key if `after_key`; takes what `accepts` likes."""

    def __init__(self, *rounds: Round, accepts: Callable[[list[list[str]]], bool],
                 after_key: bool = False) -> None:  # fmt: skip
        self.logins: list[list[list[str]]] = []
        self.after_key = after_key
        self._rounds = rounds
        self._accepts = accepts
        self._key_given = False

    def connection(self) -> Server:
        """For another connection; it notes its logins here."""
        server = Server(*self._rounds, accepts=self._accepts, after_key=self.after_key)
        server.logins = self.logins
        return server

    def get_allowed_auths(self, username: str) -> str:
        return "publickey" if self.after_key and not self._key_given else "keyboard-interactive"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        if not self.after_key:
            return paramiko.AUTH_FAILED
        self._key_given = True
        return paramiko.AUTH_PARTIALLY_SUCCESSFUL

    def check_auth_interactive(
        self, username: str, submethods: bytes | str
    ) -> int | paramiko.InteractiveQuery:
        self.logins.append([])
        return self._next()

    def check_auth_interactive_response(
        self, responses: list[str]
    ) -> int | paramiko.InteractiveQuery:
        self.logins[-1].append(list(responses))
        return self._next()

    def _next(self) -> int | paramiko.InteractiveQuery:
        given = self.logins[-1]
        if len(given) < len(self._rounds):
            name, instructions, prompts = self._rounds[len(given)]
            return paramiko.InteractiveQuery(name, instructions, *prompts)
        if self._accepts(given):
            return paramiko.AUTH_SUCCESSFUL
        return paramiko.AUTH_FAILED


Serve = Callable[[Server], None]


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Runs a scripted server, known to the client as `web`."""
    require("ssh-keygen")
    (tmp_path / ".ssh").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.setattr(sshfile, "SYSTEM_CONFIG", tmp_path / "no ssh_config")
    key = keygen(tmp_path / "host_key")
    keygen(tmp_path / ".ssh" / "id_ed25519")
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    known = tmp_path / ".ssh" / "known_hosts"
    known.write_text(f"[127.0.0.1]:{port} {key.with_suffix('.pub').read_text()}")
    (tmp_path / ".ssh" / "config").write_text(
        f"Host web\n HostName 127.0.0.1\n Port {port}\n User me\n"
    )
    transports: list[paramiko.Transport] = []
    threads: list[threading.Thread] = []

    def accept(server: Server) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            transport = paramiko.Transport(connection)
            transport.add_server_key(paramiko.Ed25519Key.from_private_key_file(str(key)))
            transports.append(transport)
            try:
                transport.start_server(server=server.connection())
            except paramiko.SSHException:
                pass

    def start(server: Server) -> None:
        threads.append(threading.Thread(target=accept, args=(server,), daemon=True))
        threads[0].start()

    yield start
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    for thread in (*threads, *transports):
        if isinstance(thread, paramiko.Transport):
            thread.close()
        thread.join(10)


def one(prompt: str, echo: bool = False) -> Round:
    return ("", "", ((prompt, echo),))


def test_a_one_time_code_is_asked_for_at_every_login_and_a_password_once(serve: Serve) -> None:
    codes = iter(["111", "222"])
    server = Server(
        one("Password: "), one("Verification code: "),
        accepts=lambda given: given == [["secret"], [next(codes)]],
    )  # fmt: skip
    serve(server)
    person = Person("secret", "111", "222")
    answers = Answers(person)
    log_in(answers=answers).close()
    log_in(answers=answers).close()
    assert person.labels == ["Password:", "Verification code:", "Verification code:"]
    assert server.logins == [[["secret"], ["111"]], [["secret"], ["222"]]]


def test_a_code_after_a_key_in_one_form_with_what_the_server_says(serve: Serve) -> None:
    form = (("Token PIN: ", False), ("Login name: ", True))
    server = Server(
        ("Example Corp", "Use your token.\nThe blue one.", form),
        accepts=lambda given: given == [["12 34", "me"]],
        after_key=True,
    )
    serve(server)
    person = Person(("12 34", "me"))
    log_in(answers=Answers(person)).close()
    (question,) = person.questions
    assert question.text == ("Example Corp", "Use your token.", "The blue one.")
    assert [field.echo for field in question.fields] == [False, True]
    assert question.title.startswith("me@127.0.0.1")


def test_a_wrong_code_is_asked_for_again_three_times_in_all(serve: Serve) -> None:
    server = Server(one("Password: "), accepts=lambda given: False)
    serve(server)
    person = Person("first", "second", "third", "fourth")
    with pytest.raises(HostError, match=r"login refused; tried keyboard-interactive; "):
        log_in(answers=Answers(person))
    assert server.logins == [[["first"]], [["second"]], [["third"]]]


def test_a_code_that_is_not_given_ends_the_login(serve: Serve) -> None:
    server = Server(one("Code: "), accepts=lambda given: True)
    serve(server)
    with pytest.raises(HostError, match=r"the server asks “Code:”: not answered"):
        log_in(answers=Answers(Person(None)))
    with pytest.raises(HostError, match=r"the server asks “Code:”: there is no terminal"):
        log_in()
    assert server.logins == [[], []]


def test_what_a_server_says_without_asking_is_passed_on(serve: Serve) -> None:
    push = ("", "Pushed a login request to your phone.", ())
    server = Server(push, accepts=lambda given: given == [[]])
    serve(server)
    notes: list[str] = []
    log_in(notes=notes).close()
    assert notes == [f"{notes[0].partition(' says')[0]} says: {push[1]}"]


def test_hostile_words_are_disarmed(serve: Serve) -> None:
    words = "\033]0;title\a\u202e[red]\x9b2J"
    server = Server((words, words * 100, ((words, True),)), accepts=lambda given: True)
    serve(server)
    person = Person("answer")
    log_in(answers=Answers(person)).close()
    (question,) = person.questions
    for text in (question.title, *question.text, *person.labels):
        assert text.isprintable() and len(text) <= 200


class Odd(Server):
    """Lists a method that it then refuses, or none at all."""

    def __init__(self, allowed: str) -> None:
        super().__init__(accepts=lambda given: False)
        self.allowed = allowed

    def connection(self) -> Server:
        return self

    def get_allowed_auths(self, username: str) -> str:
        return self.allowed


@pytest.mark.parametrize("allowed", ["none", "none,publickey", "", "hostbased"])
def test_a_login_that_was_not_accepted_is_none(serve: Serve, allowed: str) -> None:
    serve(Odd(allowed))
    with pytest.raises(HostError, match="login refused"):
        log_in()


ENDLESS = [
    tuple(one("More? ") for _ in range(MOST_ROUNDS + 1)),
    (("", "", tuple((f"{number}? ", False) for number in range(MOST_PROMPTS + 1))),),
]


@pytest.mark.parametrize("rounds", ENDLESS)
def test_a_server_cannot_ask_for_ever(serve: Serve, rounds: tuple[Round, ...]) -> None:
    server = Server(*rounds, accepts=lambda given: True)
    serve(server)
    with pytest.raises(HostError, match="asks too much"):
        log_in(answers=Answers(Person(*["x"] * 99)))


LASTING = [
    ("Password: ", True),
    ("(me@web) Password for me@web: ", True),
    ("Enter your PIN:", True),
    ("Verification code: ", False),
    ("One-time password (OATH) for `me': ", False),
    ("Enter passcode: ", False),
    ("New password: ", False),
    ("Retype new password: ", False),
    ("Password & verification code: ", False),
    ("OTP:", False),
    ("Duo two-factor login, passcode or option: ", False),
    ("Kennwort: ", False),
    ("", False),
]


@pytest.mark.parametrize(("prompt", "lasting"), LASTING)
def test_only_what_reads_like_a_password_is_kept(serve: Serve, prompt: str, lasting: bool) -> None:
    serve(Server(one(prompt), accepts=lambda given: True))
    person = Person("x")
    log_in(answers=Answers(person)).close()
    assert person.questions[0].fields[0].lasting is lasting


# -- answers -------------------------------------------------------------------------------------


def test_equal_prompts_of_one_form_have_answers_of_their_own() -> None:
    person = Person(("a", "b"))
    field = Field("Code")
    answers = Answers(person)
    assert answers.answer(Question("web", (field, field))) == ("a", "b")


def test_only_what_is_not_known_is_asked() -> None:
    person = Person(("secret", "1"), "2")
    question = Question("web", (Field("Password", lasting=True), Field("Code")))
    answers = Answers(person)
    assert answers.answer(question) == ("secret", "1")
    assert answers.answer(question) == ("secret", "2")
    assert person.labels == ["Password", "Code", "Code"]
    answers.forget(question, ("another", "2"))  # not what is kept: a newer one stays
    assert answers.answer(question) is None
    assert person.labels[-1:] == ["Code"]


def test_hosts_take_turns_to_ask() -> None:
    asking, go_on = threading.Event(), threading.Event()
    open_now: list[int] = []
    most: list[int] = []

    def slow(question: Question) -> tuple[str, ...]:
        open_now.append(1)
        most.append(len(open_now))
        asking.set()
        go_on.wait(10)
        open_now.pop()
        return ("x",)

    answers = Answers(slow)
    threads = [
        threading.Thread(target=answers.answer, args=(Question(str(n), (Field("Code"),)),))
        for n in range(3)
    ]
    for thread in threads:
        thread.start()
    assert asking.wait(10)
    assert answers.is_asking
    go_on.set()
    for thread in threads:
        thread.join()
    assert most == [1, 1, 1]
    assert not answers.is_asking
