"""What should be true of mailboxes at outreach tools, and the workflows that bring it about."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol
from uuid import UUID

from django.utils import timezone

from mailboxes.models import Mailbox
from mailboxes.vendors import mail_provider_of
from mailservers.providers.base import Login, LoginCheck, LoginSettings
from mpanel.core.errors import NotFound, ProviderError
from outreach import records
from outreach.models import CampaignSeat, OutreachLink
from outreach.pace import RateLimiter
from outreach.providers.base import (
    KEY_REFUSED,
    LOGIN_REFUSED,
    NO_CAMPAIGN,
    SENDER_GONE,
    Campaign,
    OutreachProvider,
    RemoteSender,
    SenderLogin,
    WarmupSettings,
)
from outreach.vendors import interval_of, outreach_provider, tool
from provisioning.desired import DesiredState, Observation, Workflow, register
from provisioning.models import Job
from provisioning.run import progress, say
from provisioning.services import reset_steps
from tenants.models import ProviderCredential


class HasMailboxes(Protocol):
    """What a job that deletes mailboxes is about."""

    @property
    def mailboxes(self) -> Sequence[Mailbox]: ...


@dataclass(frozen=True)
class Group:
    """Connections with one credential, and the tool that it opens."""

    links: tuple[OutreachLink, ...]
    credential: ProviderCredential
    job: Job | None = None

    @cached_property
    def provider(self) -> OutreachProvider:
        return outreach_provider(self.credential)

    @cached_property
    def pace(self) -> RateLimiter:
        return RateLimiter(interval_of(self.provider))

    @property
    def where(self) -> str:
        return self.provider.label

    def in_status(self, *statuses: str) -> list[OutreachLink]:
        return [link for link in self.links if link.status in statuses]

    def senders(self, links: Iterable[OutreachLink]) -> dict[str, RemoteSender]:
        """Those of these mailboxes that the tool has now, by address."""
        emails = [link.mailbox.address for link in links]
        if not emails:
            return {}
        self.pace.wait()
        return self.provider.find_senders(emails)


class SendersAreConnected(DesiredState[Group]):
    """The tool has every mailbox, and its own login to each worked."""

    name = "senders_are_connected"
    label = "Hand the mailboxes over"

    def observe(self, subject: Group) -> Observation:
        wanted = subject.in_status(OutreachLink.CONNECTING, OutreachLink.CONNECTED)
        there = subject.senders(wanted)
        lost = [
            link
            for link in wanted
            if not link.remote_id
            or (sender := there.get(link.mailbox.address)) is None
            or not sender.logs_in
        ]
        expected = f"{len(wanted)} mailboxes at {subject.where}"
        if lost:
            return Observation.missing(
                f"{len(lost)} of {_mailboxes(len(wanted))} are not at {subject.where} yet."
                if len(wanted) > 1
                else f"{lost[0].mailbox} is not at {subject.where} yet.",
                expected=expected,
                found=f"{len(wanted) - len(lost)} are there",
                where=subject.where,
            )
        return Observation.matches(
            f"{subject.where} has {_mailboxes(len(wanted))} and logs in.", expected=expected
        )

    def apply(self, subject: Group) -> None:
        wanted = subject.in_status(OutreachLink.CONNECTING, OutreachLink.CONNECTED)
        there = subject.senders(wanted)
        for link in subject.in_status(OutreachLink.CONNECTED):
            if link.mailbox.address not in there:
                link.move(OutreachLink.CONNECTING, remote_id="")
        todo = [link for link in wanted if link.status == OutreachLink.CONNECTING]
        silent = 0
        settled = len(subject.links) - len(todo)
        for number, (link, check) in enumerate(_verified_again(todo), settled):
            progress(number, len(subject.links))
            if link.mailbox.status not in Mailbox.WORKING:
                records.refuse(link, "MAILBOX_NOT_READY", "The mailbox no longer works here.")
            elif link.mailbox.password_pending:
                silent += 1  # its new password is still on its way to the mail provider
            elif check.outcome == "missing":
                records.refuse(link, LOGIN_REFUSED, check.detail)
                say(f"{link.mailbox}: {check.detail}", level="error")
            elif check.outcome == "unknown":
                silent += 1
            else:
                self._hand_over(subject, link, there.get(link.mailbox.address))
        if silent:
            raise ProviderError(
                "NO_ANSWER",
                f"The mail server cannot tell yet whether {_mailboxes(silent)} can log in.",
                retryable=True,
            )

    def _hand_over(self, subject: Group, link: OutreachLink, known: RemoteSender | None) -> None:
        """Save one mailbox; a lasting no is this mailbox's alone."""
        login = sender_login(link.mailbox, mail_provider_of(link.mailbox).login_settings())
        subject.pace.wait()
        try:
            sender = subject.provider.save_sender(login, warmup_of(link), known=known)
        except ProviderError as error:
            if error.ambiguous:
                # Nothing keeps an address from being added twice, so look before trying again.
                found = subject.senders([link]).get(link.mailbox.address)
                if found is None or not found.logs_in:
                    raise
                sender = found
            elif error.retryable or error.error_code == KEY_REFUSED:
                raise
            else:
                records.refuse(link, error.error_code, error.message)
                say(f"{link.mailbox}: {error.message}", level="error")
                return
        if not records.keep_sender(link, sender):
            # Somebody took the wish back while we asked: what we made must not stay behind.
            subject.provider.stop_sender(sender.id)


class WarmupIsSet(DesiredState[Group]):
    """Every mailbox is warmed up as was asked for; with that it is connected."""

    name = "warmup_is_set"
    label = "Set the warm-up"

    def observe(self, subject: Group) -> Observation:
        open_ones = subject.in_status(OutreachLink.CONNECTING)
        connected = subject.in_status(OutreachLink.CONNECTED)
        if open_ones:
            return Observation.missing(
                f"The warm-up of {_mailboxes(len(open_ones))} is not set yet.",
                expected="set",
                found=f"{len(connected)} of {len(subject.links)} are set",
                where=subject.where,
            )
        if differing := _set_otherwise(subject, connected):
            return Observation.missing(
                f"The warm-up of {_mailboxes(len(differing))} was changed at {subject.where}.",
                expected="as it was asked for",
                found=", ".join(link.mailbox.address for link in differing[:5]),
                where=subject.where,
            )
        return Observation.matches(f"The warm-up of {_mailboxes(len(connected))} is set.")

    def apply(self, subject: Group) -> None:
        connected = subject.in_status(OutreachLink.CONNECTED)
        todo = [
            *subject.in_status(OutreachLink.CONNECTING),
            *_set_otherwise(subject, connected),
        ]
        for number, link in enumerate(todo):
            progress(number, len(todo))
            subject.pace.wait()
            try:
                subject.provider.set_warmup(link.remote_id, warmup_of(link))
            except ProviderError as error:
                if error.error_code != SENDER_GONE:
                    raise
                records.refuse(link, error.error_code, error.message)
        there = subject.senders(todo)
        for link in todo:
            sender = there.get(link.mailbox.address)
            # Some tools do it a little later; then the engine looks again.
            if link.status == OutreachLink.CONNECTING and sender and sender.has(warmup_of(link)):
                records.mark_connected(link)


class SendersAreAssigned(DesiredState[Group]):
    """Every mailbox sends for the campaigns that it was assigned to."""

    name = "seats_are_taken"
    label = "Join the campaigns"

    def observe(self, subject: Group) -> Observation:
        missing = [
            campaign_id
            for campaign_id, seats in _wanted_seats(subject).items()
            if not {seat.link.remote_id for seat in seats} <= self._seated(subject, campaign_id)
            or any(seat.joined_at is None for seat in seats)
        ]
        if missing:
            return Observation.missing(
                f"{len(missing)} campaign{'' if len(missing) == 1 else 's'} to join.",
                where=subject.where,
            )
        failed = subject.in_status(OutreachLink.FAILED)
        if failed:
            done = len(subject.links) - len(failed)
            return Observation.conflicts(
                "SOME_FAILED",
                f"{done} of {_mailboxes(len(subject.links))} are connected; {len(failed)} "
                f"{'was' if len(failed) == 1 else 'were'} refused. See them in the list, and "
                "retry."
                if len(subject.links) > 1
                else failed[0].error_message,
                expected=f"{len(subject.links)} connected",
                found=f"{done} connected",
            )
        return Observation.matches("All are where they were assigned to.")

    def apply(self, subject: Group) -> None:
        for campaign_id, seats in _wanted_seats(subject).items():
            rows, now = (
                CampaignSeat.objects.filter(pk__in=[seat.pk for seat in seats]),
                timezone.now(),
            )
            subject.pace.wait()
            try:
                subject.provider.assign_to_campaign(
                    campaign_id, [seat.link.remote_id for seat in seats]
                )
            except ProviderError as error:
                if error.error_code != NO_CAMPAIGN or any(seat.joined_at is None for seat in seats):
                    raise
                # A campaign of the past was deleted at the tool.
                rows.update(left_at=now)
            else:
                rows.update(joined_at=now)

    def _seated(self, subject: Group, campaign_id: str) -> frozenset[str]:
        subject.pace.wait()
        try:
            return subject.provider.assigned_senders(campaign_id)
        except ProviderError as error:
            if error.error_code != NO_CAMPAIGN:
                raise
            return frozenset()


class SeatsAreLeft(DesiredState[Group]):
    """No campaign of the tool sends from these mailboxes any more."""

    name = "seats_are_left"
    label = "Leave the campaigns"

    def observe(self, subject: Group) -> Observation:
        try:
            taken = _taken_seats(subject)
        except ProviderError as error:
            return _unless_key_refused(subject, error)
        if taken:
            names = ", ".join(campaign.name for campaign, _ in taken[:3])
            return Observation.missing(f"Still in {names}.", where=subject.where)
        return Observation.matches("They are in no campaign.")

    def apply(self, subject: Group) -> None:
        for campaign, sender_ids in _taken_seats(subject):
            subject.pace.wait()
            subject.provider.remove_from_campaign(campaign.id, sender_ids)


class SendersAreInactive(DesiredState[Group]):
    """The tool neither warms these mailboxes up nor sends from them; its history stays."""

    name = "senders_are_inactive"
    label = "Switch the mailboxes off"

    def observe(self, subject: Group) -> Observation:
        try:
            on = _active_senders(subject)
        except ProviderError as error:
            return _unless_key_refused(subject, error)
        if on:
            return Observation.missing(f"{_mailboxes(len(on))} still on.", where=subject.where)
        return Observation.matches(f"{subject.where} sends nothing from them any more.")

    def apply(self, subject: Group) -> None:
        for number, sender in enumerate(on := _active_senders(subject)):
            progress(number, len(on))
            subject.pace.wait()
            subject.provider.stop_sender(sender.id)


class OutreachIsLeft(DesiredState[HasMailboxes]):
    """Mailboxes that are to be deleted are at no outreach tool any more."""

    name = "outreach_is_left"
    label = "Disconnect from outreach tools"

    def observe(self, subject: HasMailboxes) -> Observation:
        if number := len(_present_links(subject.mailboxes)):
            return Observation.missing(f"{number} connections to outreach tools are left.")
        return Observation.matches("No outreach tool has them.")

    def apply(self, subject: HasMailboxes) -> None:
        links = _present_links(subject.mailboxes)
        for group in groups_of(links):
            for state in (SeatsAreLeft(), SendersAreInactive()):
                if state.observe(group).verdict == "missing":
                    state.apply(group)
        records.mark_disconnected(links)


# --- What the states share ---------------------------------------------------------------------


def warmup_of(link: OutreachLink) -> WarmupSettings:
    """The warm-up that was asked for."""
    return WarmupSettings(
        enabled=link.warmup_enabled,
        max_email_per_day=link.max_email_per_day,
        total_per_day=link.total_warmup_per_day,
        daily_rampup=link.daily_rampup,
    )


def sender_login(mailbox: Mailbox, settings: LoginSettings) -> SenderLogin:
    """A mailbox as a tool is told of it."""
    return SenderLogin(
        email=mailbox.address,
        first_name=mailbox.first_name,
        last_name=mailbox.last_name,
        password=mailbox.password(),
        settings=settings,
    )


def groups_of(links: Sequence[OutreachLink]) -> list[Group]:
    """Connections that have a credential, one group for each."""
    found = [link for link in links if link.credential_id]
    found.sort(key=lambda link: str(link.credential_id))
    return [
        Group(tuple(group), group[0].credential)
        for _, members in itertools.groupby(found, key=lambda link: link.credential_id)
        if (group := list(members)) and group[0].credential
    ]


def _verified_again(links: Sequence[OutreachLink]) -> list[tuple[OutreachLink, LoginCheck]]:
    """Each connection with a fresh check of its mailbox's login, in their order."""
    checks: dict[UUID, LoginCheck] = {}
    by_domain: dict[UUID, list[OutreachLink]] = {}
    for link in links:
        by_domain.setdefault(link.mailbox.domain_id, []).append(link)
    for group in by_domain.values():
        logins = [Login(link.mailbox.address, link.mailbox.password()) for link in group]
        provider = mail_provider_of(group[0].mailbox)
        found = provider.verify_logins(logins, on_result=lambda _: progress(0, len(links)))
        checks |= {link.pk: check for link, check in zip(group, found, strict=True)}
    return [(link, checks[link.pk]) for link in links]


def _set_otherwise(subject: Group, links: Sequence[OutreachLink]) -> list[OutreachLink]:
    """Those of these whose warm-up at the tool is not what was asked for."""
    there = subject.senders(links)
    return [
        link
        for link in links
        if (sender := there.get(link.mailbox.address)) and not sender.has(warmup_of(link))
    ]


def _wanted_seats(subject: Group) -> dict[str, list[CampaignSeat]]:
    if subject.credential.is_included:
        return {}  # the campaigns there are the host's
    connected = subject.in_status(OutreachLink.CONNECTED)
    by_campaign: dict[str, list[CampaignSeat]] = {}
    for seat in CampaignSeat.objects.filter(link__in=connected, left_at=None).select_related(
        "link"
    ):
        by_campaign.setdefault(seat.campaign_id, []).append(seat)
    return by_campaign


def _taken_seats(subject: Group) -> list[tuple[Campaign, frozenset[str]]]:
    """Campaigns that still have some of these mailboxes, also those assigned at the tool."""
    ours = frozenset(link.remote_id for link in subject.links if link.remote_id)
    if not ours:
        return []
    taken = []
    subject.pace.wait()
    campaigns = subject.provider.campaigns()
    for number, campaign in enumerate(campaigns):
        progress(number, len(campaigns))
        subject.pace.wait()
        if seated := subject.provider.assigned_senders(campaign.id) & ours:
            taken.append((campaign, seated))
    return taken


def _active_senders(subject: Group) -> list[RemoteSender]:
    there = subject.senders(subject.links)
    return [sender for sender in there.values() if sender.is_active or sender.warmup_enabled]


def _unless_key_refused(subject: Group, error: ProviderError) -> Observation:
    """Without a key nothing can be done there, and that must not hold anybody here."""
    if error.error_code != KEY_REFUSED:
        raise error
    return Observation.matches(
        f"{subject.where} refuses the key, so look there yourself whether they are switched off."
    )


def _present_links(mailboxes: Sequence[Mailbox]) -> list[OutreachLink]:
    found = OutreachLink.objects.filter(mailbox__in=mailboxes)
    found = found.exclude(status=OutreachLink.DISCONNECTED)
    return list(found.select_related("mailbox__domain", "credential"))


def _mailboxes(number: int) -> str:
    return "1 mailbox" if number == 1 else f"{number} mailboxes"


# --- Workflows ---------------------------------------------------------------------------------


def _load(job: Job) -> Group:
    found = (
        OutreachLink.objects.filter(tenant_id=job.tenant_id, pk__in=job.params["links"])
        .exclude(credential=None)
        .select_related("mailbox__domain", "credential")
        .order_by("pk")
    )
    links = tuple(found)
    if not links or links[0].credential is None:
        raise NotFound("These mailboxes were disconnected meanwhile.")
    return Group(links, links[0].credential, job)


def _give_up(subject: Group, code: str, message: str) -> None:
    records.give_up(subject.links, code, message)


def _cancel(subject: Group) -> None:
    records.give_up(subject.links, "CANCELLED", "Cancelled before it was done.")


def _forget_seats(subject: Group, code: str, message: str) -> None:
    """Who did not get in is not waiting any more."""
    CampaignSeat.objects.filter(link__in=subject.links, joined_at=None).delete()


def _settle(subject: Group) -> None:
    records.settle_domains(link.mailbox.domain_id for link in subject.links)


def _connect_again(subject: Group) -> None:
    """Whoever retries the whole job wants every mailbox that was refused tried again."""
    for link in subject.in_status(OutreachLink.FAILED):
        link.move(OutreachLink.CONNECTING, error_code="", error_message="", remote_id="")
    _all_steps_again(subject)


def _leave_again(subject: Group) -> None:
    for link in subject.in_status(OutreachLink.FAILED):
        link.move(OutreachLink.DISCONNECTING, error_code="", error_message="")
    _all_steps_again(subject)


def _all_steps_again(subject: Group) -> None:
    """A step that was done for the others is to be done for those that failed."""
    assert subject.job is not None
    reset_steps(subject.job.pk)


register(
    Workflow(
        name="outreach.connect",
        label="Connect mailboxes",
        states=(SendersAreConnected(), WarmupIsSet(), SendersAreAssigned()),
        load=_load,
        on_success=_settle,
        on_failure=_give_up,
        on_cancel=_cancel,
        on_retry=_connect_again,
    )
)
register(
    Workflow(
        name="outreach.assign",
        label="Join campaigns",
        states=(SendersAreAssigned(),),
        load=_load,
        on_failure=_forget_seats,
        on_cancel=lambda subject: _forget_seats(subject, "", ""),
    )
)
register(
    Workflow(
        name="outreach.disconnect",
        label="Disconnect mailboxes",
        states=(SeatsAreLeft(), SendersAreInactive()),
        load=_load,
        on_success=lambda subject: records.mark_disconnected(subject.links),
        on_failure=_give_up,
        on_cancel=_cancel,
        on_retry=_leave_again,
    )
)

__all__ = ["Group", "OutreachIsLeft", "groups_of", "sender_login", "tool", "warmup_of"]
