"""curl commands, as browsers copy them and as people write them (curl.1, curl 8)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import quote_plus

import msgspec

from loadwatch.config import duration
from loadwatch.core.errors import PlanError
from loadwatch.core.plan import Load, Seconds, Target, Upload
from loadwatch.importing.draft import FIRST_RATE, Draft, Request, Step, basic
from loadwatch.importing.words import names, options

_SHORT = {
    "A": "user-agent", "b": "cookie", "c": "cookie-jar", "C": "continue-at", "d": "data",
    "D": "dump-header", "e": "referer", "E": "cert", "f": "fail", "F": "form", "g": "globoff",
    "G": "get", "H": "header", "i": "include", "I": "head", "j": "junk-session-cookies",
    "J": "remote-header-name", "k": "insecure", "K": "config", "L": "location", "m": "max-time",
    "n": "netrc", "N": "no-buffer", "o": "output", "O": "remote-name", "p": "proxytunnel",
    "q": "disable", "r": "range", "R": "remote-time", "s": "silent", "S": "show-error",
    "T": "upload-file", "u": "user", "U": "proxy-user", "v": "verbose", "w": "write-out",
    "x": "proxy", "X": "request", "y": "speed-time", "Y": "speed-limit", "z": "time-cond",
    "Z": "parallel", "#": "progress-bar", "0": "http1.0", "1": "tlsv1", "4": "ipv4", "6": "ipv6",
}  # fmt: skip

_VALUED = names(
    """alt-svc aws-sigv4 cacert capath cert cert-type ciphers config connect-timeout connect-to
    continue-at cookie cookie-jar create-file-mode crlfile curves data data-ascii
    data-binary data-raw data-urlencode dns-interface dns-ipv4-addr dns-ipv6-addr
    dns-servers doh-url dump-header ech engine etag-compare etag-save expect100-timeout form
    form-string happy-eyeballs-timeout-ms haproxy-clientip header hsts interface ip-tos json
    keepalive-cnt keepalive-time key key-type libcurl limit-rate local-port max-filesize
    max-redirs max-time netrc-file noproxy oauth2-bearer output output-dir parallel-max pass
    pinnedpubkey preproxy proto proto-default proto-redir proxy proxy-cacert proxy-cert
    proxy-header proxy-key proxy-pass proxy-user proxy1.0 range rate referer request
    request-target resolve retry retry-delay retry-max-time socks4 socks4a socks5
    socks5-hostname speed-limit speed-time stderr time-cond tls-max tls13-ciphers trace
    trace-ascii trace-config unix-socket upload-file url url-query user user-agent variable
    write-out"""
)

_SILENT = names(
    """basic compressed-ssh cookie-jar create-dirs create-file-mode disable dump-header fail
    fail-early fail-with-body globoff http1.1 include no-buffer no-clobber no-keepalive
    no-progress-meter output output-dir parallel parallel-immediate parallel-max
    progress-bar remote-header-name remote-name remote-name-all remote-time remove-on-error
    show-error silent stderr styled-output trace trace-ascii trace-config trace-ids
    trace-time verbose write-out xattr"""
)
"""What changes nothing about the request."""

_FLAGS = _SILENT - _VALUED | names(
    """anyauth ca-native cert-status compressed digest doh-insecure form-escape get head
    http0.9 http1.0 http2 http2-prior-knowledge http3 http3-only ignore-content-length
    insecure ipv4 ipv6 junk-session-cookies location location-trusted negotiate netrc
    netrc-optional no-alpn no-keepalive no-npn no-sessionid ntlm path-as-is post301 post302
    post303 proxy-anyauth proxy-basic proxy-digest proxy-http2 proxy-insecure
    proxy-negotiate proxy-ntlm proxytunnel raw retry-all-errors retry-connrefused ssl
    ssl-no-revoke ssl-reqd ssl-revoke-best-effort tcp-fastopen tcp-nodelay tlsv1 tlsv1.0
    tlsv1.1 tlsv1.2 tlsv1.3 tr-encoding use-ascii"""
)

_GETOPT_SHORT = "".join(s + ":" * (name in _VALUED) for s, name in _SHORT.items())
_GETOPT_LONG = [*(f"{name}=" for name in _VALUED), *_FLAGS]

_WHY_NOT = {
    "location": "redirects are not followed; give the pages they lead to as scenarios",
    "digest": "Digest authentication", "ntlm": "NTLM authentication",
    "negotiate": "Negotiate authentication", "anyauth": "a choice of authentications",
    "cert": "client certificates", "key": "client certificates",
}  # fmt: skip

BOUNDARY = "loadwatch-a1f7d3c95b"


def read(commands: list[list[str]], rate: float | None = None) -> Draft:
    """The plan of curl commands, each URL a scenario; `rate` (1/s) is theirs together.

    PlanError for an option that curl does not know, and where there is no URL.
    """
    draft = Draft("a curl command" if len(commands) == 1 else f"{len(commands)} curl commands")
    found = [_Command(draft).read(part) for words in commands for part in _parts(words)]
    requests = [request for command in found for request in command.requests()]
    each = (rate or FIRST_RATE) / max(1, len(requests))
    target, load = Target(""), Load()
    for command in found:
        target = msgspec.structs.replace(target, **command.target)
        load = msgspec.structs.replace(load, **command.load)
    why = "as asked for by --rate" if rate else "a curl command has no rate; begin low"
    draft.compose([((Step(request),), each) for request in requests], why, target, load)
    return draft


def _parts(words: list[str]) -> list[list[str]]:
    """A command's parts between `--next`, each as a command of its own."""
    if not re.fullmatch(r"(?:.*[/\\])?curl(?:\.exe)?", words[0]):
        raise PlanError(f"expected a curl command, got {words[0]!r}")
    parts = [[words[0]]]
    for word in words[1:]:
        if word in ("--next", "-:"):
            parts.append([words[0]])
        else:
            parts[-1].append(word)
    return parts


@dataclass
class _Command:
    """One curl command on its way to requests, and to what holds for all requests of a plan."""

    draft: Draft
    urls: list[str] = field(default_factory=list)
    headers: list[tuple[str, str]] = field(default_factory=list)
    data: list[tuple[str, str]] = field(default_factory=list)
    form: list[tuple[str, str]] = field(default_factory=list)
    query: list[str] = field(default_factory=list)
    flags: set[str] = field(default_factory=set)
    method: str = ""
    upload: str = ""
    target: dict[str, object] = field(default_factory=dict)
    load: dict[str, object] = field(default_factory=dict)

    def read(self, words: list[str]) -> _Command:
        """Take the options and URLs of a command line."""
        found, urls = options(words, _GETOPT_SHORT, _GETOPT_LONG, _SHORT)
        self.urls += urls
        for option, value in found:
            if not (self._request(option, value) or self._connection(option, value)):
                what = _WHY_NOT.get(option, "no such thing in a plan")
                self.draft.leave_out(f"--{option}: {what}")
        return self

    def _request(self, option: str, value: str) -> bool:
        """Whether `option` says something of the request that a plan can hold."""
        match option:
            case "url":
                self.urls.append(value)
            case "request":
                self.method = value.upper()
            case "header":
                self._header(value)
            case "user-agent":
                self.headers.append(("User-Agent", value))
            case "referer":
                self.headers.append(("Referer", value.removesuffix(";auto")))
            case "range":
                self.headers.append(("Range", f"bytes={value}"))
            case "oauth2-bearer":
                self.headers.append(("Authorization", f"Bearer {value}"))
            case "user":
                user, _, password = value.partition(":")
                self.headers.append(basic(user, password))
            case "cookie" if "=" in value:
                self.headers.append(("Cookie", value))
            case "data" | "data-ascii" | "data-binary" | "data-raw" | "data-urlencode" | "json":
                self.data.append((option, value))
            case "form" | "form-string":
                self.form.append((option, value))
            case "url-query":
                self.query.append(_encoded(value))
            case "upload-file":
                self.upload = value
            case "get" | "head" | "compressed":
                self.flags.add(option)
            case _:
                return option in _SILENT
        return True

    def _connection(self, option: str, value: str) -> bool:
        """Whether `option` says something of the connection that a plan can hold."""
        match option:
            case "insecure":
                self.target["verify"] = False
            case "cacert":
                self.target["ca"] = value
            case "max-time":
                self.target["timeout"] = Seconds(duration(f"{value}s"))
            case "http2" | "http2-prior-knowledge":
                self.load |= {"engine": "httpx", "http2": True}
            case "proxy":
                self.load |= {"engine": "httpx", "proxy": self.draft.secrets.proxy(value)}
            case _:
                return False
        return True

    def _header(self, text: str) -> None:
        name, colon, value = text.partition(":")
        if text.startswith("@"):
            self.draft.leave_out("headers from a file (-H @…)")
        elif colon and value.strip():
            self.headers.append((name.strip(), value.strip()))
        elif not colon and text.endswith(";"):
            self.headers.append((text[:-1], ""))

    def requests(self) -> list[Request]:
        """A request per URL."""
        headers = list(self.headers)
        named = {name.lower() for name, _ in headers}
        parts = self._parts()
        kind, body, file = ("", None, None) if parts else self._body()
        if kind and "content-type" not in named:
            headers.append(("Content-Type", kind))
        if "compressed" in self.flags and "accept-encoding" not in named:
            headers.append(("Accept-Encoding", "gzip, deflate, br"))
        if any(option == "json" for option, _ in self.data) and "accept" not in named:
            headers.append(("Accept", "application/json"))
        method = self.method or self._usual_method()
        return [
            Request(self._url(url), method, tuple(headers), body, file, parts) for url in self.urls
        ]

    def _usual_method(self) -> str:
        if "head" in self.flags:
            return "HEAD"
        if self.upload:
            return "PUT"
        return "POST" if self.form or (self.data and "get" not in self.flags) else "GET"

    def _url(self, url: str) -> str:
        whole = url if re.match(r"[a-z][a-z0-9+.-]*://", url, re.IGNORECASE) else f"http://{url}"
        if re.search(r"[{}]|\[[^\]]*-[^\]]*\]", url):
            self.draft.leave_out(
                f"{url.partition('?')[0]}: curl's lists and ranges; it is taken as it stands"
            )
        query = list(self.query)
        if "get" in self.flags:
            query += [self._text(option, value) or "" for option, value in self.data]
        whole = whole.partition("#")[0]
        return whole + ("&" if "?" in whole else "?") + "&".join(query) if query else whole

    def _body(self) -> tuple[str, str | None, str | None]:
        """Content type, and the body as text or as the name of a file."""
        if self.upload:
            return "", None, self.upload
        if self.form:
            return f"multipart/form-data; boundary={BOUNDARY}", self._multipart(), None
        if not self.data or "get" in self.flags:
            return "", None, None
        is_json = any(option == "json" for option, _ in self.data)
        kind = "application/json" if is_json else "application/x-www-form-urlencoded"
        (option, value), *more = self.data
        if not more and value.startswith("@") and option not in ("data-raw", "data-urlencode"):
            if option.startswith("data") and option != "data-binary":
                self.draft.leave_out(f"-d {value}: curl takes the line breaks out of the file")
            return kind, None, value[1:]
        texts = [text for one in self.data if (text := self._text(*one)) is not None]
        return kind, ("" if is_json else "&").join(texts), None

    def _text(self, option: str, value: str) -> str | None:
        """What one `--data…` adds to the body; None for a file among others."""
        if option == "data-urlencode":
            return _encoded(value)
        if value.startswith("@") and option != "data-raw":
            self.draft.leave_out(f"--{option} {value}: a file beside other data")
            return None
        return value

    def _parts(self) -> tuple[tuple[str, str | Upload], ...]:
        """The fields of a form, if one of them is a file."""
        parts: list[tuple[str, str | Upload]] = []
        for option, field_ in self.form:
            name, _, value = field_.partition("=")
            if option == "form" and value[:1] == "<":
                self.draft.leave_out(f"-F {field_}: the text of a field from a file")
            elif option == "form" and value[:1] == "@":
                file, *more = value[1:].split(";")
                kind = next((one[5:] for one in more if one.startswith("type=")), None)
                if len(more) > (kind is not None):
                    self.draft.leave_out(f"-F {field_}: all but the file and its type")
                parts.append((name, Upload(file, kind)))
            else:
                parts.append((name, self._field(option, value)))
        return tuple(parts) if any(isinstance(value, Upload) for _, value in parts) else ()

    def _field(self, option: str, value: str) -> str:
        text, is_typed, _ = value.partition(";type=") if option == "form" else (value, "", "")
        if is_typed:
            self.draft.leave_out("the type of a field of a form")
        return text

    def _multipart(self) -> str:
        """Fields of text as multipart/form-data (RFC 7578)."""
        parts = []
        for option, field_ in self.form:
            name, _, value = field_.partition("=")
            if option == "form" and value[:1] == "<":
                continue  # left out, and said
            text = self._field(option, value)
            disposition = f'Content-Disposition: form-data; name="{name}"'
            parts.append(f"--{BOUNDARY}\r\n{disposition}\r\n\r\n{text}\r\n")
        return "".join(parts) + f"--{BOUNDARY}--\r\n"


def _encoded(value: str) -> str:
    """`content`, `=content` or `name=content` as --data-urlencode encodes it."""
    name, equals, content = value.partition("=")
    if not equals:
        return quote_plus(value)
    return f"{name}={quote_plus(content)}" if name else quote_plus(content)
