"""~/.ssh/config, known_hosts and credentials: what they mean, with ssh's own tools as judges."""

from __future__ import annotations

import base64
import os
import pwd
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadwatch.core.errors import HostError, PlanError
from loadwatch.remote import sshfile
from loadwatch.remote.credentials import gather, load
from loadwatch.remote.knownhosts import KnownHosts, fingerprint, remember
from loadwatch.remote.sshconfig import Login, resolve
from loadwatch.remote.sshfile import split
from tests.sshd import PASSPHRASE, eventually, keygen, require


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own with an empty ~/.ssh, and no agent."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USER", "me")
    monkeypatch.setenv("LOGNAME", "me")
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.setattr(sshfile, "SYSTEM_CONFIG", tmp_path / "ssh_config")
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
    # an included block ends with its file
    ("Host web\n Include {home}/.ssh/more/*.conf\n Port 8\nHost *\n ConnectTimeout 3\n", "db"),
    # ways through
    ("Host web\n ProxyJump a@b:22,c\n ProxyCommand nc %h %p\n", "web"),
    ("Host web\n ProxyCommand none\n ProxyJump x\n", "web"),
    ("Host web\n ProxyJump none\nHost *\n ProxyJump x\n", "web"),
    ("Host web\n ProxyJump ssh://me@b:2022\n", "web"),
    ('ProxyCommand ssh -W [x]:22   "b x" # 2>&1\n', "web"),
    ("ConnectTimeout 1m30s\nAddressFamily inet6\nBindAddress ::1\n", "web"),
    ("ConnectTimeout none\nAddressFamily inet\n", "web"),
    # logins
    ("CertificateFile /c/1\nHost web\n CertificateFile /c/2\nCertificateFile /c/1\n", "web"),
    ("IdentityAgent /a/%r\nUser u\n", "web"),
    ("IdentityAgent none\n", "web"),
    ("PreferredAuthentications password,publickey\nNumberOfPasswordPrompts 2\n", "web"),
    ("PubkeyAuthentication no\nPasswordAuthentication no\n", "web"),
    ("KbdInteractiveAuthentication no\n", "web"),
    ("BatchMode yes\nHashKnownHosts yes\n", "web"),
    ("StrictHostKeyChecking accept-new\n", "web"),
    ("StrictHostKeyChecking yes\n", "web"),
    ("User CORP\\bob\n", "web"),
    ("User 'a b'\nHost web\n Port 4\n", "web"),
    # Match by more
    ('Match exec "test %n = web"\n User e\nMatch exec "test %h = db"\n Port 9\n', "web"),
    ("Match !exec false\n User e\nMatch exec true !host web\n Port 9\n", "web"),
    ("Match host db exec true\n User e\nMatch localuser nobody\n Port 9\n", "web"),
    # a second pass, in which the real name counts
    (
        "Host web\n HostName real\nMatch final host real\n User f\nHost real\n Port 77\n"
        "Match originalhost web\n IdentityFile /k/o\n",
        "web",
    ),
    ("Match final\n User f\nMatch canonical\n Port 5\n", "web"),
    ("Host web\n HostName real\nMatch canonical\n Port 5\nHost real\n User r\n", "web"),
]


def shown(login: Login) -> dict[str, str]:
    """The login as `ssh -G` would print it."""
    proofs, route = login.proofs, login.route
    families = {socket.AF_UNSPEC: "any", socket.AF_INET: "inet", socket.AF_INET6: "inet6"}
    lines = {
        "hostname": login.hostname,
        "port": str(login.port),
        "user": login.user,
        "identitiesonly": "yes" if proofs.identities_only else "no",
        "connecttimeout": f"{route.timeout:.0f}",
        "addressfamily": families[route.family],
        "bindaddress": route.bind or "",
        "proxycommand": route.proxy or "",
        "proxyjump": jumps(login),
        "certificatefile": " ".join(map(str, proofs.certificates)),
        "identityagent": str(proofs.agent or "none"),
        "hashknownhosts": "yes" if login.host_key.hashed else "no",
        "preferredauthentications": ",".join(proofs.methods),
        "batchmode": "no" if proofs.prompts else "yes",
        "known_hosts": " ".join(map(str, login.host_key.files)),
        "hostkeyalias": login.host_key.name,
        "stricthostkeychecking": login.host_key.strictness,
    }
    if proofs.explicit:
        lines["identityfile"] = " ".join(map(str, proofs.key_files))
    return lines


def jumps(login: Login) -> str:
    """The hops of a login, first to last, as ProxyJump would have them."""
    hop = login.route.jump
    if hop is None:
        return ""
    user = f"{hop.user}@" if f"{hop.user}@" in hop.command else ""
    port = f":{hop.port}" if "-p" in hop.command else ""
    before = jumps(hop)
    return f"{before},{user}{hop.hostname}{port}" if before else f"{user}{hop.hostname}{port}"


def expected(printed: str, login: Login, home: Path) -> dict[str, str]:
    """What `ssh -G` printed, in the same terms."""
    said: dict[str, str] = {}
    root = pwd.getpwuid(os.getuid()).pw_dir
    for setting in printed.splitlines():
        key, _, value = setting.partition(" ")
        value = value.replace(f"{root}/.ssh", f"{home}/.ssh")
        said[key] = f"{said[key]} {value}" if key in said else value
    get = said.get
    switches = {
        "publickey": said["pubkeyauthentication"],
        "keyboard-interactive": said["kbdinteractiveauthentication"],
        "password": said["passwordauthentication"],
    }
    preferred = get("preferredauthentications", ",".join(switches)).split(",")
    methods = [method for method in preferred if switches.get(method) in ("yes", "true")]
    strictness = {"true": "yes", "false": "accept-new"}
    lines = {
        **{key: said[key] for key in
           ("hostname", "port", "user", "identitiesonly", "addressfamily", "hashknownhosts",
            "batchmode")},
        **{key: get(key, "") for key in
           ("bindaddress", "proxycommand", "proxyjump", "certificatefile")},
        # There is no agent in the environment; `ssh -G` leaves the tokens as they are.
        "identityagent": get("identityagent", "none").replace("%r", login.user),
        "connecttimeout": "10" if said["connecttimeout"] == "none" else said["connecttimeout"],
        "preferredauthentications": ",".join(methods),
        "known_hosts": f"{said['userknownhostsfile']} {said['globalknownhostsfile']}",
        "hostkeyalias": get("hostkeyalias", login.host_key.name),
        "stricthostkeychecking": strictness.get(
            said["stricthostkeychecking"], said["stricthostkeychecking"]
        ),
    }  # fmt: skip
    if said["batchmode"] == "yes" and lines["stricthostkeychecking"] == "ask":
        lines["stricthostkeychecking"] = "yes"  # it comes to the same
    if login.proofs.explicit:
        keys = said["identityfile"].replace("%n", "web").replace("%r", login.user)
        lines["identityfile"] = keys
    return lines


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
    login = resolve(alias)
    assert shown(login) == expected(done.stdout, login, home)


ADDRESSES = [
    ("web", ("web", 22, "me", "ssh web")),
    ("deploy@web", ("web", 22, "deploy", "ssh deploy@web")),
    ("deploy@web:2222", ("web", 2222, "deploy", "ssh -p 2222 deploy@web")),
    ("192.0.2.7:22", ("192.0.2.7", 22, "me", "ssh -p 22 192.0.2.7")),
    ("::1", ("::1", 22, "me", "ssh ::1")),
    ("fe80::1%eth0", ("fe80::1%eth0", 22, "me", "ssh fe80::1%eth0")),
    ("a@[2001:db8::1]:2200", ("2001:db8::1", 2200, "a", "ssh -p 2200 a@2001:db8::1")),
    ("[::1]", ("::1", 22, "me", "ssh ::1")),
    ("bob@corp.example@web", ("web", 22, "bob@corp.example", "ssh bob@corp.example@web")),
    ("ssh://deploy@web:2222", ("web", 2222, "deploy", "ssh -p 2222 deploy@web")),
]


@pytest.mark.parametrize(("written", "expected"), ADDRESSES)
def test_addresses(home: Path, written: str, expected: tuple[str, int, str, str]) -> None:
    login = resolve(written)
    assert (login.hostname, login.port, login.user, login.command) == expected


@pytest.mark.parametrize(
    "written",
    [
        "",
        "a b",
        "@web",
        "web:",
        "web:port",
        "web:0",
        "web:65536",
        "-oX=y",
        "-x@web",
        "[::1",
        "$(id)@web",
        "web;id",
        "a`b",
    ],
)
def test_what_is_no_address(home: Path, written: str) -> None:
    with pytest.raises(PlanError, match="ssh = "):
        resolve(written)


def test_what_the_plan_says_goes_before_the_configuration(home: Path) -> None:
    (home / ".ssh" / "config").write_text("Host web\n User conf\n Port 2222\n")
    assert (resolve("me@web:22").user, resolve("me@web:22").port) == ("me", 22)


def test_every_hop_is_looked_up_by_itself(home: Path) -> None:
    (home / ".ssh" / "config").write_text(
        "Host web\n ProxyJump first,ops@second:2200\n"
        "Host first\n HostName 10.0.0.1\n User one\n HostKeyAlias eins\n ProxyJump zeroth\n"
        "Host second\n HostName 10.0.0.2\n ProxyJump elsewhere\n IdentityFile /k/2\n"
        "Host zeroth\n ProxyCommand nc %h %p\n"
    )
    second = resolve("web").route.jump
    assert second is not None
    assert (str(second), second.proofs.key_files) == ("ops@10.0.0.2:2200", (Path("/k/2"),))
    first = second.route.jump  # as `ssh -J first second` has it: not by elsewhere
    assert first is not None
    assert (str(first), first.host_key.name) == ("one@10.0.0.1", "eins")
    zeroth = first.route.jump
    assert zeroth is not None
    assert (zeroth.route.jump, zeroth.route.proxy) == (None, "nc zeroth 22")


@pytest.mark.parametrize("setting", ["ProxyJump bastion", "ProxyJump a b@", "ProxyJump $(id)"])
def test_a_way_that_leads_nowhere_is_said(home: Path, setting: str) -> None:
    (home / ".ssh" / "config").write_text(f"Host *\n {setting}\n")  # bastion by bastion
    with pytest.raises(HostError, match=rf"{home}/.ssh/config:2: ProxyJump"):
        resolve("web")


def test_the_system_s_configuration_counts_behind_the_user_s(home: Path) -> None:
    (home / "ssh_config").write_text("Include more\nUser system\nPort 5\n")
    (home / "more").write_text("ConnectTimeout 3\n")
    (home / ".ssh" / "config").write_text("User mine\n")
    login = resolve("web")
    assert (login.user, login.port, login.route.timeout) == ("mine", 5, 3)


NOTES = [
    (
        "Match localnetwork 10.0.0.0/8\n User wrong\n",
        "1: the Match block is left out: localnetwork",
    ),
    ("Match tagged x\n User wrong\n", "1: the Match block is left out: tagged"),
    ("Match host\n User wrong\n", "1: the Match block is left out: host"),
    ("CanonicalizeHostname yes\n", "1: CanonicalizeHostname is not honoured"),
    ("\nRevokedHostKeys /etc/ssh/revoked\n", "2: RevokedHostKeys is not honoured"),
    ("PKCS11Provider none\nCanonicalizeHostname no\n", None),
    ("Host other\n RevokedHostKeys /x\n", None),
]


@pytest.mark.parametrize(("text", "note"), NOTES)
def test_what_is_not_honoured_is_said_where_it_matters(
    home: Path, text: str, note: str | None
) -> None:
    config = home / ".ssh" / "config"
    config.write_text(text)
    login = resolve("web")
    assert login.user == "me"
    told = [] if note is None else [f"{config}:{note}"]
    assert [text[: len(start)] for text, start in zip(login.notes, told, strict=True)] == told


@pytest.mark.parametrize(("mode", "taken"), [(0o644, True), (0o646, False), (0o600, True)])
def test_a_configuration_that_others_may_write_is_refused(
    home: Path, mode: int, taken: bool
) -> None:
    config = home / ".ssh" / "config"
    config.write_text("User right\n")
    config.chmod(mode)
    if taken:
        assert resolve("web").user == "right"
    else:
        with pytest.raises(HostError, match="others may write"):
            resolve("web")


def test_a_command_of_the_configuration_has_an_end(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sshfile, "_EXEC_SECONDS", 0.1)
    (home / ".ssh" / "config").write_text('Match exec "sleep 60"\n User wrong\n')
    login = resolve("web")
    assert login.user == "me"
    assert "sleep 60" in login.notes[0]


@pytest.mark.parametrize(
    "odd",
    [
        "Match localnetwork 10.0.0.0/8\n User wrong\n",
        "Match exec false\n User wrong\n",
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
    assert login.proofs.key_files[0] == home / ".ssh" / "id_rsa"
    assert login.host_key.files[0] == login.host_key.user_file == home / ".ssh" / "known_hosts"
    assert (login.host_key.name, resolve("Web:2222").host_key.name) == ("web", "[web]:2222")


LINES = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=40),
    st.builds(
        "{} {}".format,
        st.sampled_from(["Host", "Match", "Match !final", "Port", "User", "ProxyJump", "Include",
                         "IdentityFile", "ConnectTimeout", "HostName", "IdentityAgent"]),
        st.text(st.sampled_from("web*?!,\"'\\%h%~${}@:[]-# 9"), max_size=20),
    ),
)  # fmt: skip


@given(st.lists(LINES, max_size=8))
def test_whatever_a_configuration_says_it_is_a_login_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str]
) -> None:
    home = tmp_path_factory.mktemp("home")
    (home / "config").write_text("\n".join(lines), encoding="utf-8")
    with (
        patch.object(sshfile, "USER_CONFIG", home / "config"),
        patch.object(sshfile, "SYSTEM_CONFIG", home / "none"),
    ):
        try:
            assert resolve("web").port > 0
        except HostError as problem:
            assert "\n" not in str(problem)


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\"'\\#"), min_size=1)))
def test_words_without_signs_are_what_lies_between_blanks(words: list[str]) -> None:
    text = " ".join(words)
    assert split(text) == text.split()


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


@given(st.binary(max_size=200), st.sampled_from(["web", "[web]:2222", "::1"]), st.booleans())
def test_a_key_that_is_appended_is_known_whatever_stood_there(
    tmp_path_factory: pytest.TempPathFactory, before: bytes, name: str, hashed: bool
) -> None:
    file = tmp_path_factory.mktemp("ssh") / "known_hosts"
    file.write_bytes(before)
    remember(file, name, "ssh-ed25519", KEY, hashed)
    assert file.read_bytes().startswith(before)
    assert KnownHosts([file], name).check(KEY) == "known"
    assert KnownHosts([file], "other").check(KEY) != "known"


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


def labels(login: Login) -> list[str]:
    with gather(login) as found:
        return [key.label for key in found.keys]


@pytest.mark.parametrize("options", [(), ("-t", "rsa", "-b", "2048", "-m", "PEM")])
def test_a_locked_file_is_told_from_garbage(home: Path, options: tuple[str, ...]) -> None:
    key = keygen(home / ".ssh" / "id_rsa", PASSPHRASE, *options)
    (home / ".ssh" / "id_ecdsa").write_text("garbage")
    with gather(resolve("web")) as found:
        assert (found.keys, found.locked) == ((), (key,))
    assert load(key, "wrong") == (None, True)
    opened, _ = load(key, PASSPHRASE)
    assert opened is not None


def test_the_agents_keys_count(home: Path, agent: Path) -> None:
    assert labels(resolve("web")) == []
    hold(keygen(home / "spare"))
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
    assert labels(resolve("web")) == []


def test_the_first_screen_need_not_wait_for_paramiko() -> None:
    code = "import sys, loadwatch.remote; sys.exit('paramiko' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
