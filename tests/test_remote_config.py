"""~/.ssh/config, known_hosts and credentials: what they mean, with ssh's own tools as judges."""

from __future__ import annotations

import base64
import os
import pwd
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadwatch.core.errors import HostError, LoadwatchError, PlanError
from loadwatch.core.plan import Host
from loadwatch.remote import needs_secret
from loadwatch.remote.credentials import MOST_KEYS, gather
from loadwatch.remote.knownhosts import KnownHosts, fingerprint
from loadwatch.remote.sshconfig import Login, resolve
from tests.sshd import PASSPHRASE, eventually, keygen, require


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own with an empty ~/.ssh, and no agent."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USER", "me")
    monkeypatch.setenv("LOGNAME", "me")
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    (tmp_path / ".ssh").mkdir()
    return tmp_path


# -- ssh_config ----------------------------------------------------------------------------------

CONFIGS = [
    # nothing configured
    ("", "web"),
    # a block, and one that is not ours
    ("Host web\n HostName 10.1.2.3\n User deploy\n Port 2222\nHost other\n User bob\n", "web"),
    # the first value counts; global settings before and behind
    ("User early\nHost web\n User late\n Port 99\nHost *\n Port 100\n HostName h%h\n", "web"),
    # patterns and negation
    ("Host *.example !old.example\n User new\nHost *\n User any\n", "old.example"),
    ("Host *.example !old.example\n User new\nHost *\n User any\n", "a.example"),
    ("Host w?b db\n Port 7\n", "web"),
    # all key files count, in order; tokens and quotes
    (
        'IdentityFile /k/%n-%r\nHost web\n User u\n IdentityFile "/k/b c"\n IdentitiesOnly yes\n',
        "web",
    ),
    # equal signs, tabs, case, comments
    ("HOST=web\n\tport = 5\n\tuser=eq # not me\n# User no\n", "web"),
    # other names for host keys
    ("Host web\n HostKeyAlias prod\n UserKnownHostsFile /a/k1 /a/k2\n", "web"),
    ("Host web\n GlobalKnownHostsFile /g/1\n", "web"),
    # Match
    ("Match host web\n User m\nMatch all\n Port 3\n", "web"),
    ("Match host db\n User m\nMatch originalhost web,db\n Port 3\n", "web"),
    ("Host web\n User x\nMatch user x\n Port 4\nMatch !user x\n Port 5\n", "web"),
    ("Host web\n HostName real\nMatch host real\n User r\n", "web"),
    # included files take part, and the block goes on behind
    ("Host web\n Include {home}/.ssh/more/*.conf\n Port 8\n", "web"),
    ("Include {home}/.ssh/more/*.conf\nUser u\n", "other"),
]


@pytest.mark.parametrize(("text", "alias"), CONFIGS)
def test_configuration_means_what_ssh_says_it_means(
    home: Path, monkeypatch: pytest.MonkeyPatch, text: str, alias: str
) -> None:
    require("ssh")
    account = pwd.getpwuid(os.getuid())
    monkeypatch.setenv("LOGNAME", account.pw_name)
    (home / ".ssh" / "more").mkdir()
    (home / ".ssh" / "more" / "a.conf").write_text("Host web\n User included\n Port 6\n")
    config = home / ".ssh" / "config"
    config.write_text(text.replace("{home}", str(home)))
    done = subprocess.run(
        ["ssh", "-G", "-F", config, alias], capture_output=True, text=True, check=True
    )
    said: dict[str, list[str]] = {}
    for setting in done.stdout.splitlines():
        key, _, value = setting.partition(" ")
        said.setdefault(key, []).append(value.replace(f"{account.pw_dir}/.ssh", f"{home}/.ssh"))
    login = resolve(alias)
    only = "yes" if login.identities_only else "no"
    assert [login.hostname] == said["hostname"]
    assert [str(login.port)] == said["port"]
    assert [login.user] == said["user"]
    assert [only] == said["identitiesonly"]
    assert said.get("hostkeyalias", [login.key_name]) == [login.key_name]
    files = said["userknownhostsfile"] + said["globalknownhostsfile"]
    assert [str(path) for path in login.known_hosts] == " ".join(files).split()
    if login.explicit:
        # `ssh -G` leaves the tokens as they are.
        keys = [key.replace("%n", alias).replace("%r", login.user) for key in said["identityfile"]]
        assert [str(path) for path in login.key_files] == keys


ADDRESSES = [
    ("web", ("web", 22, "me", "ssh web")),
    ("deploy@web", ("web", 22, "deploy", "ssh deploy@web")),
    ("deploy@web:2222", ("web", 2222, "deploy", "ssh -p 2222 deploy@web")),
    ("192.0.2.7:22", ("192.0.2.7", 22, "me", "ssh -p 22 192.0.2.7")),
    ("::1", ("::1", 22, "me", "ssh ::1")),
    ("fe80::1%eth0", ("fe80::1%eth0", 22, "me", "ssh fe80::1%eth0")),
    ("a@[2001:db8::1]:2200", ("2001:db8::1", 2200, "a", "ssh -p 2200 a@2001:db8::1")),
    ("[::1]", ("::1", 22, "me", "ssh ::1")),
]


@pytest.mark.parametrize(("written", "expected"), ADDRESSES)
def test_addresses(home: Path, written: str, expected: tuple[str, int, str, str]) -> None:
    login = resolve(written)
    assert (login.hostname, login.port, login.user, login.command) == expected


@pytest.mark.parametrize(
    "written",
    ["", "a b", "@web", "web:", "web:port", "web:0", "web:65536", "-oX=y", "a@b@c", "[::1"],
)
def test_what_is_no_address(home: Path, written: str) -> None:
    with pytest.raises(PlanError, match="ssh = "):
        resolve(written)


def test_what_the_plan_says_goes_before_the_configuration(home: Path) -> None:
    (home / ".ssh" / "config").write_text("Host web\n User conf\n Port 2222\n")
    assert (resolve("me@web:22").user, resolve("me@web:22").port) == ("me", 22)


@pytest.mark.parametrize("setting", ["ProxyJump bastion", "ProxyCommand nc %h %p"])
def test_what_cannot_be_done_is_said_rather_than_ignored(home: Path, setting: str) -> None:
    (home / ".ssh" / "config").write_text(f"Host web\n {setting}\nHost *\n ProxyJump none\n")
    with pytest.raises(HostError, match=r"Proxy.*not supported"):
        resolve("web")
    assert resolve("other").hostname == "other"


@pytest.mark.parametrize(
    "odd",
    [
        "Match localnetwork 10.0.0.0/8\n User wrong\n",
        "Match exec true\n User wrong\n",
        "Match host\n User wrong\n",
        "Match\n User wrong\n",
        "nonsense\n<<<<\n",
        'Host "unbalanced\n User wrong\n',
        "Include {home}/.ssh/config\n",
        "Include /nowhere/*\n",
    ],
)
def test_odd_lines_cost_nothing_but_themselves(home: Path, odd: str) -> None:
    text = odd.replace("{home}", str(home)) + "Host web\n User right\n"
    (home / ".ssh" / "config").write_bytes(b"\xff\xfe\n" + text.encode())
    assert resolve("web").user == "right"


def test_the_defaults_follow_home(home: Path) -> None:
    login = resolve("web")
    assert login.key_files[0] == home / ".ssh" / "id_rsa"
    assert login.known_hosts[0] == home / ".ssh" / "known_hosts"
    assert (login.key_name, resolve("Web:2222").key_name) == ("web", "[web]:2222")


# -- known_hosts ---------------------------------------------------------------------------------

KEY, OTHER, THIRD = b"key one", b"key two", b"key three"


def line(names: str, key: bytes, kind: str = "ssh-ed25519") -> str:
    return f"{names} {kind} {base64.b64encode(key).decode()} comment\n"


KNOWN_HOSTS = [
    (line("web", KEY), "web", "known"),
    (line("web", KEY), "WEB", "known"),
    ("", "web", "unknown"),
    (line("db", KEY), "web", "unknown"),
    (line("web", OTHER), "web", "changed"),
    (line("web", OTHER) + line("web", KEY), "web", "known"),
    (line("db,web,10.0.0.1", KEY), "10.0.0.1", "known"),
    (line("*.example", KEY), "a.example", "known"),
    (line("*.example,!b.example", KEY), "b.example", "unknown"),
    (line("[web]:2222", KEY), "[web]:2222", "known"),
    # another port is another server
    (line("web", KEY), "[web]:2222", "unknown"),
    (line("[web]:2222", KEY), "web", "unknown"),
    # brackets are not a set of characters
    (line("[web]:2222", KEY), "w:2222", "unknown"),
    ("@revoked " + line("*", KEY) + line("web", KEY), "web", "revoked"),
    ("@revoked " + line("web", OTHER), "web", "unknown"),
    # a certificate authority does not vouch for a plain key
    ("@cert-authority " + line("web", KEY), "web", "unknown"),
    ("@new-marker " + line("web", KEY), "web", "unknown"),
    ("# " + line("web", KEY), "web", "unknown"),
    # what cannot be read costs its own line only
    (
        "web ssh-ed25519 !!!\n|1|bad|worse ssh-rsa AAAA\n\xff\nweb\n" + line("web", KEY),
        "web",
        "known",
    ),
    ("|1|x ssh-rsa AAAA\n" + line("web", KEY), "web", "known"),
]


@pytest.mark.parametrize(("text", "name", "verdict"), KNOWN_HOSTS)
def test_known_hosts(tmp_path: Path, text: str, name: str, verdict: str) -> None:
    file = tmp_path / "known_hosts"
    file.write_bytes(text.encode("latin-1"))
    assert KnownHosts([tmp_path / "missing", file], name).check(KEY) == verdict


def test_hashed_names_as_ssh_keygen_writes_them(tmp_path: Path) -> None:
    require("ssh-keygen")
    file = tmp_path / "known_hosts"
    public = keygen(tmp_path / "key").with_suffix(".pub").read_text().split()
    file.write_text(f"web {public[0]} {public[1]}\n[web]:2222 {public[0]} {public[1]}\n")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", file], check=True, capture_output=True)
    assert "web" not in file.read_text()
    blob = base64.b64decode(public[1])
    for name, verdict in (("web", "known"), ("[web]:2222", "known"), ("db", "unknown")):
        assert KnownHosts([file], name).check(blob) == verdict
    known = KnownHosts([file], "web")
    assert (known.kinds, known.places) == (["ssh-ed25519"], f"{file}:1")


def test_the_fingerprint_is_what_ssh_keygen_prints(tmp_path: Path) -> None:
    require("ssh-keygen")
    public = keygen(tmp_path / "key").with_suffix(".pub")
    printed = subprocess.run(
        ["ssh-keygen", "-l", "-f", public], capture_output=True, text=True, check=True
    ).stdout
    assert printed.split()[1] == fingerprint(base64.b64decode(public.read_text().split()[1]))


# -- credentials ---------------------------------------------------------------------------------


@pytest.fixture
def agent(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A real agent, empty."""
    require("ssh-agent", "ssh-add")
    place = tmp_path / "agent"
    with subprocess.Popen(["ssh-agent", "-D", "-a", place], stdout=subprocess.DEVNULL) as process:
        assert eventually(place.exists)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(place))
        yield place
        process.terminate()


def hold(key: Path) -> None:
    """Give a key to the agent, and take its file away."""
    subprocess.run(["ssh-add", "-q", key], check=True, capture_output=True)
    key.unlink()


def labels(login: Login, secret: str | None = None) -> list[str]:
    with gather(login, secret) as found:
        return [key.label for key in found.keys]


def test_no_prompt_where_a_key_can_be_read(home: Path) -> None:
    keygen(home / ".ssh" / "id_ed25519")
    assert needs_secret(Host("web", "web")) is None
    assert needs_secret(Host("web", "me@web"), ask=True) == "Password of me@web"


def test_no_prompt_for_this_machine() -> None:
    assert needs_secret(Host("here", "local"), ask=True) is None


def test_a_password_where_there_is_no_key(home: Path) -> None:
    (home / ".ssh" / "id_rsa").write_text("garbage")
    assert needs_secret(Host("web", "deploy@web:22")) == "Password of deploy@web"


@pytest.mark.parametrize("options", [(), ("-t", "rsa", "-b", "2048", "-m", "PEM")])
def test_a_passphrase_where_the_only_key_is_locked(home: Path, options: tuple[str, ...]) -> None:
    key = keygen(home / ".ssh" / "id_rsa", PASSPHRASE, *options)
    assert needs_secret(Host("web", "web")) == f"Passphrase of {key}, or password of me@web"
    with gather(resolve("web")) as found:
        assert (found.keys, found.locked) == ((), (key,))
    with gather(resolve("web"), "wrong") as found:
        assert (found.keys, found.locked, found.password) == ((), (key,), "wrong")
    with gather(resolve("web"), PASSPHRASE) as found:
        # It opened a key file, so it is not a password, and is not sent to a server.
        assert ([key.label for key in found.keys], found.password) == ([str(key)], None)


def test_a_readable_key_beside_a_locked_one_needs_no_prompt(home: Path) -> None:
    keygen(home / ".ssh" / "id_ed25519", PASSPHRASE)
    keygen(home / ".ssh" / "id_ecdsa", "", "-t", "ecdsa")
    assert needs_secret(Host("web", "web")) is None


def test_the_agents_keys_count(home: Path, agent: Path) -> None:
    assert needs_secret(Host("web", "web")) == "Password of me@web"
    hold(keygen(home / "spare"))
    assert needs_secret(Host("web", "web")) is None
    assert labels(resolve("web")) == ["agent key spare"]


def test_a_locked_file_whose_key_the_agent_holds_needs_no_secret(home: Path, agent: Path) -> None:
    key = keygen(home / ".ssh" / "id_ed25519")
    subprocess.run(["ssh-add", "-q", key], check=True, capture_output=True)
    subprocess.run(["ssh-keygen", "-q", "-p", "-N", PASSPHRASE, "-f", key], check=True, stdout=-3)
    with gather(resolve("web")) as found:
        assert ([key.label for key in found.keys], found.locked) == (["agent key id_ed25519"], ())


def test_identities_only_offers_of_the_agent_what_is_configured(home: Path, agent: Path) -> None:
    hold(keygen(home / "wanted"))
    hold(keygen(home / "unwanted"))
    config = home / ".ssh" / "config"
    config.write_text(f"IdentityFile {home}/wanted\nIdentitiesOnly yes\n")
    assert labels(resolve("web")) == ["agent key wanted"]
    config.write_text(f"IdentityFile {home}/wanted.pub\nIdentitiesOnly yes\n")
    assert labels(resolve("web")) == ["agent key wanted"]
    config.write_text("")
    assert labels(resolve("web")) == ["agent key wanted", "agent key unwanted"]


def test_configured_files_go_before_the_agent_and_defaults_behind(home: Path, agent: Path) -> None:
    hold(keygen(home / "held"))
    file = keygen(home / ".ssh" / "id_ed25519")
    assert labels(resolve("web")) == ["agent key held", str(file)]
    (home / ".ssh" / "config").write_text(f"IdentityFile {file}\n")
    assert labels(resolve("web")) == [str(file), "agent key held"]


def test_no_more_keys_are_offered_than_a_server_takes(home: Path, agent: Path) -> None:
    for number in range(MOST_KEYS + 2):
        hold(keygen(home / f"key{number}"))
    assert len(labels(resolve("web"))) == MOST_KEYS


@pytest.mark.parametrize("what", ["nothing", "file", "directory"])
def test_an_agent_that_is_gone_is_no_agent(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    place = tmp_path / "gone"
    if what == "file":
        place.write_text("")
    elif what == "directory":
        place.mkdir()
    monkeypatch.setenv("SSH_AUTH_SOCK", str(place))
    assert needs_secret(Host("web", "web")) == "Password of me@web"


def test_nonsense_is_told_before_anything_starts(home: Path) -> None:
    with pytest.raises(LoadwatchError) as failure:
        needs_secret(Host("web", "a b"))
    assert failure.value.exit_code == 2
    assert "\n" not in str(failure.value)


def test_the_first_screen_need_not_wait_for_paramiko() -> None:
    code = "import sys, loadwatch.remote; sys.exit('paramiko' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
