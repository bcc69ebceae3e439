"""A real Django site with django.contrib.auth: `python -m tests.djangosite DIRECTORY USERS`.

A home page for anybody, the login view of Django itself, and a wall behind it. It says its port.
"""

from __future__ import annotations

import sys
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import django
from django.conf import settings

LOGIN = """<form action="/search/"><input name="q"></form>
<form method="post">{% csrf_token %}{{ form }}<input type="submit" name="go" value="in"></form>"""


def configure(directory: Path) -> None:
    settings.configure(
        SECRET_KEY="of-the-tests",
        ALLOWED_HOSTS=["127.0.0.1"],
        ROOT_URLCONF="tests.djangosite",
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": str(directory / "db.sqlite3"),
                # It need not outlive the test: nothing is waited for on the disk.
                "OPTIONS": {"timeout": 20, "init_command": "PRAGMA synchronous=OFF;"},
            }
        },
        INSTALLED_APPS=[
            "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions",
        ],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
        ],
        # Quick, so that 200 logins take no time; what Django has by default takes 0.1 s each.
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        LOGIN_REDIRECT_URL="/wall/",
        TEMPLATES=[{
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "OPTIONS": {"loaders": [(
                "django.template.loaders.locmem.Loader", {"registration/login.html": LOGIN},
            )]},
        }],
    )  # fmt: skip
    django.setup()


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 256


class Quiet(WSGIRequestHandler):
    def log_message(self, *arguments: Any) -> None:
        pass


def main() -> None:
    directory, users = Path(sys.argv[1]), int(sys.argv[2])
    configure(directory)
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.core.wsgi import get_wsgi_application

    call_command("migrate", verbosity=0)
    for number in range(users):
        User.objects.create_user(f"user{number}", password=f"pass & word {number}")
    server = make_server(
        "127.0.0.1", 0, get_wsgi_application(), server_class=Server, handler_class=Quiet
    )
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
else:
    from django.contrib.auth.decorators import login_required
    from django.contrib.auth.views import LoginView
    from django.contrib.sessions.models import Session
    from django.http import HttpRequest, HttpResponse
    from django.urls import path

    @login_required(login_url="/accounts/login/")
    def wall(request: HttpRequest) -> HttpResponse:
        return HttpResponse(f"Hello {request.user.get_username()}!")

    def home(request: HttpRequest) -> HttpResponse:
        return HttpResponse("home" + " of nobody" * request.user.is_anonymous)

    def forget(request: HttpRequest) -> HttpResponse:
        """End all sessions."""
        count, _ = Session.objects.all().delete()
        return HttpResponse(str(count))

    urlpatterns = [
        path("", home),
        path("wall/", wall),
        path("accounts/login/", LoginView.as_view()),
        path("forget/", forget),
    ]
