"""Secrets on their way out of a plan: each value becomes `${env:NAME}`."""

from __future__ import annotations

import re
from urllib.parse import unquote_plus

from loadwatch import config
from loadwatch.core.naming import unique

_SECRET_NAME = re.compile(
    r"(?:.*[-_.\[])?(?:auth|token|key|apikey|secret|sid|sessionid|jsessionid|session|password"
    r"|passwd|passphrase|pass|pwd|otp|(?:csrf|xsrf)\w*|sig|signature|session_id)\d*\]?"
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_PARAMETER = re.compile(r"(?P<before>(?P<name>[^?&=#;]+)=)(?P<value>[^&#;]+)")
_MEMBER = re.compile(
    r'(?P<before>"(?P<name>[^"\\]+)"\s*:\s*")(?P<value>(?:[^"\\]|\\.)+)(?=")', re.DOTALL
)
_FIELD = re.compile(
    r'(?P<before>Content-Disposition: form-data; name="(?P<name>[^"]*)"\r?\n'
    r"(?:[^\r\n]+\r?\n)*\r?\n)"
    r"(?P<value>.+?)(?=\r?\n--)",
    re.DOTALL | re.IGNORECASE,
)
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9-]* )?(.+)", re.DOTALL)

OTHERS = frozenset({
    "COLUMNS", "DISPLAY", "EDITOR", "HOME", "HOST", "HOSTNAME", "LANG", "LANGUAGE", "LINES",
    "LOGNAME", "MAIL", "OLDPWD", "PAGER", "PATH", "PWD", "SHELL", "TERM", "TMPDIR", "TZ", "USER",
})  # fmt: skip
"""Variables that a shell has set: a cookie `lang` must not become what stands there."""

SPREAD = 8
"""Characters from which on a secret is looked for in other places too."""


def is_secret_name(name: str) -> bool:
    """Whether a parameter, field or JSON member is called like a secret: `apiKey`, `csrf_token`."""
    return _SECRET_NAME.fullmatch(_CAMEL.sub("_", name).lower()) is not None


class Secrets:
    """What was moved out: `variables` says which value is which one; `meanings` what each
    holds, in order of appearance.

    The same value is always the same variable.
    """

    def __init__(self) -> None:
        self.meanings: dict[str, str] = {}
        self.variables: dict[str, str] = {}

    def move(self, name: str, value: str, meaning: str) -> str:
        """`value` as a variable of the environment, called after `name`."""
        variable = self.variables.get(value)
        if variable is None:
            base = re.sub(r"[^A-Z0-9]+", "_", _CAMEL.sub("_", name).upper()).strip("_") or "SECRET"
            base = f"_{base}" if base[0].isdigit() else base
            variable = unique(base, OTHERS | self.meanings.keys(), "_")
            self.variables[value] = variable
            self.meanings[variable] = meaning
        return f"${{env:{variable}}}"

    def header(self, name: str, value: str) -> str:
        """The value of a header: its secrets moved, names of cookies and a scheme kept."""
        if name.lower() == "cookie":
            return "; ".join(
                self._cookie(pair.strip()) for pair in value.split(";") if pair.strip()
            )
        if not config.is_literal_secret(name, value):
            return self.query(value) if name.lower() == "referer" else value
        match = _SCHEME.fullmatch(value)
        assert match is not None
        scheme = match[1] or ""
        after = f", after `{scheme.strip()}`" if scheme else ""
        return scheme + self.move(name, match[2], f"the header {name}{after}")

    def _cookie(self, pair: str) -> str:
        name, _, value = pair.partition("=")
        return f"{name}={self.move(name, value, f'the cookie {name}')}" if value else pair

    def proxy(self, url: str) -> str:
        """A proxy's URL, `http://` unless it says otherwise: its password moved."""
        scheme, _, rest = url.rpartition("://")
        user, at, host = rest.rpartition("@")
        name, colon, password = user.partition(":")
        if password:
            user = name + colon + self.move("proxy-password", password, "the password of the proxy")
        return f"{scheme or 'http'}://{user}{at}{host}"

    def query(self, text: str) -> str:
        """`name=value&…`, in a path or a form: the values of what is called like a secret moved."""
        return _PARAMETER.sub(self._moved, text)

    def field(self, name: str, value: str) -> str:
        """The value of a field of a form: moved if it is called like a secret."""
        if not value or not is_secret_name(name):
            return value
        return self.move(name, value, f"{name}, as it stands there")

    def body(self, text: str) -> str:
        """The same for a body: JSON (its strings), multipart/form-data, or a form."""
        if text.lstrip()[:1] in ("{", "["):
            return _MEMBER.sub(self._moved, text)
        return _FIELD.sub(self._moved, text) if text.startswith("--") else self.query(text)

    def _moved(self, match: re.Match[str]) -> str:
        name = unquote_plus(match["name"])
        if not is_secret_name(name):
            return match[0]
        return match["before"] + self.move(name, match["value"], f"{name}, as it stands there")

    def everywhere(self, text: str) -> str:
        """`text` without the longer values that were moved, wherever they stand in it."""
        for value, variable in self.variables.items():
            if len(value) >= SPREAD:
                text = text.replace(value, f"${{env:{variable}}}")
        return text
