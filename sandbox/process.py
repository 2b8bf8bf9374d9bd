"""The sandbox's process: every part on its port, until a signal ends it."""

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import AsyncIterator, Iterator

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount, Route

from . import cloudflare, doveadm, google, instantly, namecheap, smartlead, smtp
from .cloudflare import CloudflareApi
from .control import Control
from .doveadm import DoveadmApi
from .google import GoogleApi
from .http import DroppableProtocol, Stage
from .instantly import InstantlyApi
from .namecheap import ByCommand, NamecheapApi
from .pages import Pages
from .room import HOST, Options, Room
from .smartlead import SmartleadApi


class _HttpServer(uvicorn.Server):
    """uvicorn without its own signal handlers: the process ends all parts together."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def run(options: Options) -> None:
    """Serve until SIGTERM or SIGINT. Raises `OSError` if a port is taken."""
    asyncio.run(serve(options))


async def serve(options: Options) -> None:
    """As `run`, in a running event loop that nothing else of Twisted uses."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    room = Room(options)
    try:
        async with _mail(room), _dns(room), _http(room), _background(room):
            print(f"Sandbox: http://{HOST}:{options.port}/", flush=True)
            await stop.wait()
    finally:
        room.close()


@contextlib.asynccontextmanager
async def _dns(room: Room) -> AsyncIterator[None]:
    try:
        await room.dns.start(room.options.dns_port)
        yield
    finally:
        await room.dns.stop()


@contextlib.asynccontextmanager
async def _mail(room: Room) -> AsyncIterator[None]:
    options = room.options
    handler = smtp.Submission(
        room.logins,
        room.mails,
        faults=room.faults,
        journal=room.journal,
        maillog=room.maillog,
        policy_address=lambda: room.mail_policy,
    )
    catch_all = smtp.CatchAll(room.mails)
    async with contextlib.AsyncExitStack() as stack:
        context = room.tls.context()
        submission = await smtp.listen(HOST, options.submission_port, handler, context)
        stack.callback(submission.close)
        system_mail = await smtp.listen(HOST, options.system_mail_port, catch_all)
        stack.callback(system_mail.close)
        await room.imap.start(HOST, options.imaps_port, room.tls)
        stack.push_async_callback(room.imap.stop)
        yield


@contextlib.asynccontextmanager
async def _http(room: Room) -> AsyncIterator[None]:
    api = CloudflareApi(room.zones, room.limiter)
    stage = Stage(
        api.app,
        service="cloudflare",
        prefix=cloudflare.PREFIX,
        faults=room.faults,
        journal=room.journal,
        failing=cloudflare.failing,
    )
    registrar = ByCommand(
        Stage(
            NamecheapApi(room.namecheap),
            service="namecheap",
            prefix=namecheap.PATH,
            faults=room.faults,
            journal=room.journal,
            failing=namecheap.failing,
        )
    )
    smartlead_stage = Stage(
        SmartleadApi(room.outreach).app,
        service="smartlead",
        prefix=smartlead.PREFIX,
        faults=room.faults,
        journal=room.journal,
        failing=smartlead.failing,
    )
    instantly_stage = Stage(
        InstantlyApi(room.outreach).app,
        service="instantly",
        prefix=instantly.PREFIX,
        faults=room.faults,
        journal=room.journal,
        failing=instantly.failing,
    )
    google_api = Stage(
        GoogleApi(room.google, room.google_limiter).app,
        service="google",
        prefix=google.PREFIX,
        faults=room.faults,
        journal=room.journal,
        failing=google.failing,
    )
    mail_admin = Stage(
        DoveadmApi(room.imap, room.logins, room.mails).app,
        service="doveadm",
        prefix=doveadm.PREFIX,
        faults=room.faults,
        journal=room.journal,
        failing=doveadm.failing,
    )
    control = Control(room)
    pages = Pages(room, control)
    app = Starlette(
        routes=[
            Mount(cloudflare.PREFIX, stage),
            Route(namecheap.PATH, registrar),
            Mount(google.PREFIX, google_api),
            Mount(smartlead.PREFIX, smartlead_stage),
            Mount(instantly.PREFIX, instantly_stage),
            Mount(doveadm.PREFIX, mail_admin),
            *control.routes(),
            *pages.routes(),
        ],
        exception_handlers={404: pages.not_found},
    )
    config = uvicorn.Config(
        app,
        http=DroppableProtocol,
        ws="none",
        lifespan="off",
        log_level=logging.WARNING,
        access_log=False,
        proxy_headers=False,
        timeout_graceful_shutdown=1,
    )
    server = _HttpServer(config)
    # Bound here, so that a taken port is an error of ours and not the end of the process. With
    # the protocol named, since asyncio turns Nagle's algorithm off for no other socket.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, room.options.port))
        task = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started and not task.done():
            await asyncio.sleep(0.01)
        try:
            yield
        finally:
            server.should_exit = True
            await task


@contextlib.asynccontextmanager
async def _background(room: Room) -> AsyncIterator[None]:
    task = asyncio.create_task(room.delegate_automatically())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
