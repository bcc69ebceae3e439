"""Against a real sshd: whose host key passes, and what it takes to log in."""

from __future__ import annotations

import base64
import os
import secrets
import stat
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from loadwatch.core.asking import Question
from loadwatch.core.errors import HostError
from loadwatch.remote.answers import Answers
from loadwatch.remote.hostkeys import TRIES
from loadwatch.remote.knownhosts import fingerprint
from loadwatch.remote.link import LinkError
from tests.sshd import (
    MARK,
    PASSPHRASE,
    Person,
    Sshd,
    Start,
    eventually,
    find,
    keygen,
    log_in,
    output_of,
    require,
    sshd,
    start_sshd,
)
from tests.test_remote_ssh import delivers_all, end, story, watch

__all__ = ["sshd", "start_sshd"]  # the fixtures


def key_of(path: Path) -> str:
    return fingerprint(base64.b64decode(path.with_suffix(".pub").read_text().split()[1]))


# -- host keys -----------------------------------------------------------------------------------


def test_an_unknown_host_key_is_refused_with_what_to_do(sshd: Sshd) -> None:
    sshd.known_hosts.unlink()
    monitor, sink = watch()
    assert sink.reaches("failed")
    assert monitor.join(20)
    detail = sink.statuses[-1].detail
    assert (
        f"unknown host key of [127.0.0.1]:{sshd.port}: ssh-ed25519 {key_of(sshd.host_key)}"
        in detail
    )
    assert "`ssh web`" in detail
    assert "\n" not in detail
    assert not sshd.known_hosts.exists()  # nothing is written
    assert not sshd.leftovers()


def test_first_contact_shows_the_key_and_appends_one_line_on_yes(sshd: Sshd) -> None:
    sshd.known_hosts.unlink()
    (sshd.home / ".ssh").rename(sshd.home / "elsewhere")
    (sshd.home / ".ssh").mkdir()
    for name in ("config", "id_ed25519"):
        (sshd.home / "elsewhere" / name).rename(sshd.home / ".ssh" / name)
    known_hosts = sshd.home / ".ssh" / "deeper" / "known_hosts"
    sshd.configure()
    config = sshd.home / ".ssh" / "config"
    config.write_text(config.read_text().replace(str(sshd.known_hosts), str(known_hosts)))
    person = Person("yes")
    monitor, sink = watch(answers=Answers(person))
    assert delivers_all(sink)
    end(monitor, sshd)
    (question,) = person.questions
    shown = " ".join((question.title, *question.text, *person.labels))
    assert f"ssh-ed25519 {key_of(sshd.host_key)}" in shown
    assert f"[127.0.0.1]:{sshd.port}" in shown
    kind, key, _ = sshd.host_key.with_suffix(".pub").read_text().split()
    assert known_hosts.read_text() == f"[127.0.0.1]:{sshd.port} {kind} {key}\n"
    assert stat.S_IMODE(known_hosts.stat().st_mode) == 0o600
    assert stat.S_IMODE(known_hosts.parent.stat().st_mode) == 0o700
    assert any(str(known_hosts) in note for note in sink.notes)
    log_in().close()  # from now on nobody is asked


def test_what_is_in_known_hosts_stays_as_it_is(sshd: Sshd) -> None:
    before = "# ours\nother ssh-ed25519 AAAA\n@cert-authority *.example ssh-rsa AAAA no newline"
    sshd.known_hosts.write_text(before)
    log_in(answers=Answers(Person("yes"))).close()
    lines = sshd.known_hosts.read_text().split("\n")
    assert lines[:3] == before.split("\n")
    assert lines[3].startswith(f"[127.0.0.1]:{sshd.port} ssh-ed25519 ")
    assert lines[4:] == [""]


REFUSALS = [("no",), (None,), ("",) * TRIES, ("y", "YES", "SHA256:wrong")]


@pytest.mark.parametrize("answers", REFUSALS)
def test_only_a_clear_yes_is_one(sshd: Sshd, answers: tuple[str | None, ...]) -> None:
    sshd.known_hosts.unlink()
    with pytest.raises(HostError, match=r"unknown host key.*not accepted"):
        log_in(answers=Answers(Person(*answers)))
    assert not sshd.known_hosts.exists()
    assert "Accepted" not in sshd.log


def test_the_fingerprint_is_a_yes_too(sshd: Sshd) -> None:
    sshd.known_hosts.unlink()
    log_in(answers=Answers(Person("what?", key_of(sshd.host_key)))).close()
    assert sshd.known_hosts.exists()


def test_two_hosts_behind_one_key_ask_once_and_write_once(sshd: Sshd) -> None:
    sshd.known_hosts.unlink()
    person = Person("yes")
    answers = Answers(person)
    threads = [threading.Thread(target=lambda: log_in(answers=answers).close()) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(person.questions) == 1
    assert len(sshd.known_hosts.read_text().splitlines()) == 1


def test_a_yes_holds_for_no_other_key(sshd: Sshd) -> None:
    sshd.configure("  UserKnownHostsFile none\n")
    config = sshd.home / ".ssh" / "config"
    config.write_text(config.read_text().replace(f"  UserKnownHostsFile {sshd.known_hosts}\n", ""))
    person = Person("yes")
    answers = Answers(person)
    log_in(answers=answers).close()
    log_in(answers=answers).close()
    assert len(person.questions) == 1  # remembered for the run, though in no file
    sshd.stop()
    sshd.host_key = keygen(sshd.directory / "other")
    sshd.start()
    with pytest.raises(HostError, match="not accepted"):
        log_in(answers=answers)
    assert len(person.questions) == 2


@pytest.mark.parametrize("setting", ["accept-new", "no", "off"])
def test_a_new_key_may_be_accepted_by_configuration_a_changed_one_never(
    sshd: Sshd, setting: str
) -> None:
    sshd.known_hosts.unlink()
    sshd.configure(f"  StrictHostKeyChecking {setting}\n")
    notes: list[str] = []
    log_in(notes=notes).close()
    assert f"{key_of(sshd.host_key)} is now in {sshd.known_hosts}" in notes[0]
    sshd.trust(keygen(sshd.directory / "other"))
    with pytest.raises(HostError, match="CHANGED host key"):
        log_in(answers=Answers(Person("yes")))


@pytest.mark.parametrize("setting", ["StrictHostKeyChecking yes", "BatchMode yes"])
def test_a_new_key_may_be_refused_by_configuration(sshd: Sshd, setting: str) -> None:
    sshd.known_hosts.unlink()
    sshd.configure(f"  {setting}\n")
    person = Person("yes")
    with pytest.raises(HostError, match="unknown host key"):
        log_in(answers=Answers(person))
    assert not person.questions


def test_a_name_may_be_written_hashed(sshd: Sshd) -> None:
    sshd.known_hosts.unlink()
    sshd.configure("  HashKnownHosts yes\n")
    log_in(answers=Answers(Person("yes"))).close()
    assert "127.0.0.1" not in sshd.known_hosts.read_text()
    found = subprocess.run(
        ["ssh-keygen", "-F", f"[127.0.0.1]:{sshd.port}", "-f", sshd.known_hosts],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "found" in found.stdout
    log_in().close()


def test_known_hosts_that_cannot_be_written_is_said(sshd: Sshd) -> None:
    sshd.known_hosts.unlink()
    sshd.known_hosts.mkdir()
    with pytest.raises(HostError, match=f"{sshd.known_hosts}: .*not kept"):
        log_in(answers=Answers(Person("yes")))


def test_a_certificate_authority_is_named_and_not_honoured(sshd: Sshd) -> None:
    authority = keygen(sshd.directory / "authority").with_suffix(".pub").read_text()
    sshd.known_hosts.write_text(f"@cert-authority * {authority}")
    person = Person("no")
    with pytest.raises(HostError, match=rf"authority in {sshd.known_hosts}:1 is not honoured"):
        log_in(answers=Answers(person))
    assert f"{sshd.known_hosts}:1" in " ".join(person.questions[0].text)


def test_the_key_of_a_name_without_its_port_vouches_as_it_does_for_ssh(sshd: Sshd) -> None:
    public = sshd.host_key.with_suffix(".pub").read_text()
    sshd.known_hosts.write_text(f"127.0.0.1 {public}")
    log_in().close()
    sshd.known_hosts.write_text(f"@revoked 127.0.0.1 {public}")
    with pytest.raises(HostError, match="revoked"):
        log_in()


def test_a_changed_host_key_never_connects(sshd: Sshd) -> None:
    sshd.trust(keygen(sshd.directory / "other"))
    before = sshd.known_hosts.read_text()
    monitor, sink = watch(answers=Answers(Person("yes")))
    assert sink.reaches("failed", "CHANGED host key")
    assert monitor.join(20)
    detail = sink.statuses[-1].detail
    assert key_of(sshd.host_key) in detail and f"{sshd.known_hosts}:1" in detail
    assert sshd.known_hosts.read_text() == before
    assert "Accepted" not in sshd.log


def test_a_host_key_that_changes_while_watching_ends_it(sshd: Sshd) -> None:
    monitor, sink = watch()
    assert delivers_all(sink)
    sshd.stop()
    sshd.host_key = keygen(sshd.directory / "other")
    sshd.start()
    assert sink.reaches("failed", "CHANGED host key")
    assert monitor.join(20)
    assert story(sink) == ["connecting", "live", "lost", "failed"]


def test_a_revoked_host_key_is_refused_whichever_file_says_so(sshd: Sshd) -> None:
    second = sshd.home / ".ssh" / "revoked"
    second.write_text("@revoked * " + sshd.host_key.with_suffix(".pub").read_text())
    config = sshd.home / ".ssh" / "config"
    config.write_text(config.read_text().replace("FILE none", "").replace(
        f"UserKnownHostsFile {sshd.known_hosts}", f"UserKnownHostsFile {sshd.known_hosts} {second}"
    ))  # fmt: skip
    with pytest.raises(HostError, match="revoked host key"):
        log_in(answers=Answers(Person("yes")))


def test_a_known_key_of_another_type_is_asked_for_first(start_sshd: Start) -> None:
    server = start_sshd()
    rsa = keygen(server.directory / "rsa", "", "-t", "rsa", "-b", "2048")
    server.stop()
    server.options = f"HostKey {rsa}\n"
    server.start()
    server.trust(rsa)
    log_in().close()


def test_a_server_that_does_not_wait_for_the_answer_is_tried_again(start_sshd: Start) -> None:
    server = start_sshd(options="LoginGraceTime 4\n")  # a slow machine logs in within that
    server.known_hosts.unlink()
    asked: list[Question] = []

    def slow(question: Question) -> tuple[str, ...]:
        asked.append(question)
        assert eventually(lambda: not server.sessions())
        return ("yes",)

    monitor, sink = watch(answers=Answers(slow))
    assert delivers_all(sink)
    end(monitor, server)
    assert story(sink) == ["connecting", "lost", "live", "stopped"]
    assert any("hung up meanwhile" in status.detail for status in sink.statuses)
    assert len(asked) == 1


WEAK = [
    "Ciphers aes128-cbc,3des-cbc",
    "MACs hmac-md5,hmac-sha1,hmac-md5-96",
    "KexAlgorithms diffie-hellman-group14-sha1",
]


@pytest.mark.parametrize("options", WEAK)
def test_weak_algorithms_are_not_agreed_on(start_sshd: Start, options: str) -> None:
    start_sshd(options=f"{options}\n")
    with pytest.raises(HostError, match=r"no common algorithm.*openssh"):
        log_in()


# -- keys ----------------------------------------------------------------------------------------


def test_a_refused_key_is_named_and_not_tried_again(sshd: Sshd) -> None:
    (sshd.directory / "authorized_keys").write_text("")
    monitor, sink = watch()
    assert sink.reaches("failed", "login refused; tried ")
    assert monitor.join(20)
    detail = sink.statuses[-1].detail
    assert f"{sshd.user}@127.0.0.1:{sshd.port}" in detail and str(sshd.key) in detail
    assert "the server takes publickey,password" in detail.replace(", ", ",")
    assert sshd.log.count("Failed publickey") <= 1


def test_a_server_that_hangs_up_on_a_refused_key_is_not_tried_again(start_sshd: Start) -> None:
    server = start_sshd(options="MaxAuthTries 1\n")
    (server.directory / "authorized_keys").write_text("")
    monitor, sink = watch()
    assert sink.reaches("failed", f"hung up on while trying {server.key}")
    assert monitor.join(20)
    assert server.log.count("Too many authentication failures") <= 1


def test_a_server_that_hangs_up_on_a_refused_key_is_tried_again_if_it_let_us_in_before(
    start_sshd: Start,
) -> None:
    """It refuses one key with a word, and hangs up on the second."""
    server = start_sshd(options="MaxAuthTries 2\n")
    second = keygen(server.directory / "second")
    server.configure(f"  IdentityFile {server.key}\n  IdentityFile {second}\n")
    allowed = server.directory / "authorized_keys"
    keys = allowed.read_text()
    monitor, sink = watch()
    assert sink.reaches("live")
    allowed.write_text("")
    server.drop()
    assert sink.reaches("lost", f"tried {server.key}")
    allowed.write_text(keys)
    assert sink.reaches("live")
    monitor.stop()
    assert monitor.join(20)


def test_no_key_and_no_terminal(sshd: Sshd) -> None:
    sshd.key.unlink()
    with pytest.raises(HostError, match=r"no key to try; the server takes .*no terminal to ask"):
        log_in()


def test_a_passphrase_is_asked_for_once_for_all_hosts(sshd: Sshd) -> None:
    sshd.lock()
    person = Person("wrong", PASSPHRASE)
    answers = Answers(person)
    log_in(answers=answers).close()
    log_in(answers=answers).close()
    assert [question.title for question in person.questions] == [f"Key {sshd.key}"] * 2
    assert "not it" in person.questions[1].text[0]
    assert not person.questions[0].fields[0].echo


def test_a_passphrase_is_not_sent_to_the_server(sshd: Sshd) -> None:
    sshd.lock()
    with pytest.raises(HostError, match=rf"login refused.*locked by a passphrase: {sshd.key}"):
        log_in(answers=Answers(Person("wrong", "wrong", "wrong")))
    assert "Failed password" not in sshd.log


def test_nobody_is_asked_for_a_passphrase_where_another_key_does(sshd: Sshd) -> None:
    keygen(sshd.home / ".ssh" / "id_rsa", PASSPHRASE)
    person = Person()
    log_in(answers=Answers(person)).close()
    assert not person.questions


# -- agents --------------------------------------------------------------------------------------


@contextmanager
def agent(place: Path, *keys: Path) -> Iterator[None]:
    """A real agent that holds `keys`; their files are gone."""
    require("ssh-agent", "ssh-add")
    with subprocess.Popen(["ssh-agent", "-D", "-a", place], stdout=subprocess.DEVNULL) as process:
        assert eventually(place.exists)
        environment = {**os.environ, "SSH_AUTH_SOCK": str(place)}
        subprocess.run(["ssh-add", "-q", *keys], check=True, capture_output=True, env=environment)
        for key in keys:
            key.unlink()
        try:
            yield
        finally:
            process.terminate()


def test_an_agent_is_used_and_not_forwarded(sshd: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
    place = sshd.directory / "agent"
    monkeypatch.setenv("SSH_AUTH_SOCK", str(place))
    sshd.configure("  ForwardAgent yes\n")
    with agent(place, sshd.key):
        link = log_in()
        output = output_of(link, "env; tty")
        link.close()
    assert MARK.encode() in output
    assert b"SSH_AUTH_SOCK" not in output
    assert output.endswith(b"not a tty\n")


def test_the_agent_may_be_named_in_the_configuration(
    sshd: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = sshd.directory / "agent"
    with agent(place, sshd.key):
        for setting in (str(place), "$OTHER_AGENT", "%d/../agent", "${OTHER_AGENT}"):
            monkeypatch.setenv("OTHER_AGENT", str(place))
            sshd.configure(f"  IdentityAgent {setting}\n")
            log_in().close()
        monkeypatch.setenv("SSH_AUTH_SOCK", str(place))
        sshd.configure("  IdentityAgent none\n")
        with pytest.raises(HostError, match="no key to try"):
            log_in()


def test_no_more_keys_are_offered_than_leave_room_for_a_password(
    account: tuple[str, str], start_sshd: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, password = account
    server = start_sshd(user=name)  # sshd hangs up after six attempts
    place = server.directory / "agent"
    monkeypatch.setenv("SSH_AUTH_SOCK", str(place))
    with agent(place, *(keygen(server.directory / f"key{number}") for number in range(8))):
        log_in(answers=Answers(Person(password))).close()


def test_under_identities_only_the_agent_signs_for_the_configured_key(
    sshd: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = sshd.directory / "agent"
    monkeypatch.setenv("SSH_AUTH_SOCK", str(place))
    others = [keygen(sshd.directory / f"other{number}") for number in range(6)]
    sshd.configure(f"  IdentitiesOnly yes\n  IdentityFile {sshd.key}\n")
    with agent(place, *others, sshd.key):
        log_in().close()
        assert "Failed publickey" not in sshd.log
        sshd.configure(f"  IdentitiesOnly yes\n  IdentityFile {others[0]}\n")
        with pytest.raises(HostError, match=r"tried agent key other0; "):
            log_in()


# -- certificates --------------------------------------------------------------------------------


@pytest.fixture
def certifying(start_sshd: Start) -> Sshd:
    """A server that knows no key, only an authority."""
    server = start_sshd()
    server.stop()
    authority = keygen(server.directory / "authority")
    server.options = f"TrustedUserCAKeys {authority}.pub\n"
    (server.directory / "authorized_keys").write_text("")
    server.start()
    return server


def certify(server: Sshd, key: Path) -> Path:
    """The certificate for `key`, beside it."""
    subprocess.run(
        ["ssh-keygen", "-q", "-s", server.directory / "authority", "-I", "me", "-n", server.user,
         f"{key}.pub"],
        check=True, capture_output=True,
    )  # fmt: skip
    return key.with_name(f"{key.name}-cert.pub")


KINDS = [("-t", "ed25519"), ("-t", "rsa", "-b", "2048"), ("-t", "ecdsa")]


@pytest.mark.parametrize("kind", KINDS)
def test_a_certificate_beside_its_key_is_offered(certifying: Sshd, kind: tuple[str, ...]) -> None:
    key = keygen(certifying.home / ".ssh" / "key", "", *kind)
    certifying.configure(f"  IdentityFile {key}\n")
    with pytest.raises(HostError, match="login refused"):
        log_in()
    certify(certifying, key)
    log_in().close()


def test_a_certificate_elsewhere_is_named_in_the_configuration(certifying: Sshd) -> None:
    certificate = certify(certifying, certifying.key).rename(certifying.directory / "c.pub")
    foreign = certify(certifying, keygen(certifying.directory / "foreign"))
    certifying.configure(f"  CertificateFile {foreign}\n  CertificateFile {certificate}\n")
    log_in().close()
    assert "Failed publickey" not in certifying.log  # the foreign one was not offered


def test_a_certificate_counts_for_a_key_in_the_agent(
    certifying: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = certify(certifying, certifying.key).rename(certifying.directory / "c.pub")
    certifying.configure(f"  CertificateFile {certificate}\n")
    place = certifying.directory / "agent"
    monkeypatch.setenv("SSH_AUTH_SOCK", str(place))
    with agent(place, certifying.key):
        log_in().close()


@pytest.mark.parametrize("kind", KINDS[:2])
def test_a_certificate_in_the_agent_is_offered(
    certifying: Sshd, monkeypatch: pytest.MonkeyPatch, kind: tuple[str, ...]
) -> None:
    key = keygen(certifying.directory / "key", "", *kind)
    certificate = certify(certifying, key)
    place = certifying.directory / "agent"
    monkeypatch.setenv("SSH_AUTH_SOCK", str(place))
    certifying.configure(
        f"  IdentitiesOnly yes\n  IdentityFile {key}\n  CertificateFile {certificate}\n"
    )
    with agent(place, key):  # ssh-add takes the certificate along
        log_in().close()


# -- passwords and codes -------------------------------------------------------------------------


@pytest.fixture
def account() -> Iterator[tuple[str, str]]:
    """A user with a password, for as long as the test: name and password."""
    if os.geteuid() != 0 or not find("useradd"):
        verdict = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        verdict("a login with a password needs a user of its own, which only root can make")
    name, password = f"lw-{secrets.token_hex(4)}", secrets.token_hex(8)
    subprocess.run(["useradd", "-M", "-d", "/", "-s", "/bin/sh", name], check=True)
    try:
        subprocess.run(["chpasswd"], input=f"{name}:{password}", text=True, check=True)
        yield name, password
    finally:
        subprocess.run(["userdel", "-f", name], check=True, capture_output=True)


def test_a_password_is_asked_for_and_used_again_after_a_loss(
    account: tuple[str, str], start_sshd: Start
) -> None:
    name, password = account
    server = start_sshd(user=name)
    person = Person("wrong", password)
    monitor, sink = watch(answers=Answers(person))
    assert delivers_all(sink)
    server.drop()
    assert eventually(lambda: story(sink) == ["connecting", "live", "lost", "live"])
    assert delivers_all(sink)
    end(monitor, server)
    assert [question.title for question in person.questions] == [
        f"{name}@127.0.0.1:{server.port}"
    ] * 2
    assert "not it" in person.questions[1].text[0]
    assert not person.questions[0].fields[0].echo
    assert server.log.count("Failed password") == 1
    assert not any(secret in repr(sink.statuses) for secret in ("wrong", password))


def test_a_wrong_password_ends_after_three(account: tuple[str, str], start_sshd: Start) -> None:
    name, _ = account
    server = start_sshd(user=name)
    person = Person(*["wrong"] * 9)
    monitor, sink = watch(answers=Answers(person))
    assert sink.reaches("failed", "id_ed25519, password; the server takes publickey, password")
    assert monitor.join(20)
    assert server.log.count("Failed password") == len(person.questions) == 3


def test_a_password_that_is_not_given_is_not_asked_for_again(
    account: tuple[str, str], start_sshd: Start
) -> None:
    name, _ = account
    server = start_sshd(user=name)
    person = Person(None)
    monitor, sink = watch(answers=Answers(person))
    assert sink.reaches("failed", "login refused")
    assert monitor.join(20)
    assert len(person.questions) == 1
    assert "Failed password" not in server.log


FORBIDDEN = ["BatchMode yes", "PasswordAuthentication no", "PreferredAuthentications publickey",
             "NumberOfPasswordPrompts 0"]  # fmt: skip


@pytest.mark.parametrize("setting", FORBIDDEN)
def test_nobody_is_asked_for_what_the_configuration_forbids(sshd: Sshd, setting: str) -> None:
    sshd.key.unlink()
    sshd.configure(f"  {setting}\n")
    person = Person("secret")
    with pytest.raises(HostError, match="login refused"):
        log_in(answers=Answers(person))
    assert not person.questions


PAM = "UsePAM yes\nKbdInteractiveAuthentication yes\nPasswordAuthentication no\n"


def test_a_password_by_pam_and_keyboard_interactive(
    account: tuple[str, str], start_sshd: Start
) -> None:
    name, password = account
    server = start_sshd(user=name, options=PAM)
    person = Person(password)
    answers = Answers(person)
    log_in(answers=answers).close()
    log_in(answers=answers).close()
    assert "assword" in person.labels[0]
    assert len(person.questions) == 1  # a password lasts
    assert eventually(lambda: server.log.count("Accepted keyboard-interactive") == 2)


def test_a_key_and_then_a_second_factor(account: tuple[str, str], start_sshd: Start) -> None:
    name, password = account
    server = start_sshd(user=name)
    server.stop()
    # Read by root, since the account cannot look into the directories of the test.
    server.options = (
        f"{PAM}AuthenticationMethods publickey,keyboard-interactive\nAuthorizedKeysCommandUser root"
        f"\nAuthorizedKeysCommand /bin/cat {server.directory / 'authorized_keys'}\n"
    )
    server.start()
    with pytest.raises(HostError, match=r"the server asks “Password:”: there is no terminal"):
        log_in()
    log_in(answers=Answers(Person(password))).close()
    assert eventually(lambda: "Accepted keyboard-interactive/pam" in server.log)
    server.key.unlink()
    with pytest.raises(HostError, match="no key to try; the server takes publickey"):
        log_in(answers=Answers(Person(password)))


def test_a_server_that_hangs_up_before_the_answer_is_tried_again(
    account: tuple[str, str], start_sshd: Start
) -> None:
    name, password = account
    server = start_sshd(user=name, options="LoginGraceTime 1\n")

    def slow(question: Question) -> tuple[str, ...]:
        assert eventually(lambda: not server.sessions())
        return (password,)

    answers = Answers(slow)
    with pytest.raises(LinkError, match="may not wait that long"):
        log_in(answers=answers)
    log_in(answers=answers).close()  # the answer is kept
    assert answers.asked == 1
