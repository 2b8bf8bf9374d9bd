"""Accounts that must be made at a vendor: what is wanted of one, and several at a time."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from django.utils import timezone

from mailboxes.models import Mailbox, MailboxQuerySet
from mailservers.providers.base import AccountState, MailProvider, WantedAccount
from mpanel.core import registry
from mpanel.core.errors import ProviderError
from provisioning.run import say

AT_ONCE = 5
# So many calls in a row without an answer, and the rest is left for the next try.
SILENCES = 5

# What came of one account: how it is now, or why nobody can tell yet.
Result = AccountState | ProviderError


def wanted(mailbox: Mailbox, *, is_present: bool = True) -> WantedAccount:
    """What the provider should hold for a mailbox; with its password where that is to be told."""
    # Our own server has no id of its own, and reads the password's hash by itself.
    is_untold = not mailbox.remote_id and not registry.get("mail", mailbox.provider).reads_rows
    tells_password = is_present and (mailbox.password_pending or is_untold)
    return WantedAccount(
        email=mailbox.address,
        reference=str(mailbox.pk),
        first_name=mailbox.first_name,
        last_name=mailbox.last_name,
        password=mailbox.password() if tells_password and mailbox.sealed_password else "",
        quota_mb=mailbox.quota_mb,
        may_log_in=mailbox.status != Mailbox.SUSPENDED,
        is_present=is_present,
        remote_id=mailbox.remote_id,
        organization_unit=mailbox.organization_unit or "/",
    )


def observed(
    provider: MailProvider, mailboxes: Sequence[Mailbox], *, is_present: bool = True
) -> list[AccountState]:
    """How the provider holds these now, in order. Raises `ProviderError`."""
    return provider.observe_accounts([wanted(one, is_present=is_present) for one in mailboxes])


def bring_about(
    provider: MailProvider,
    mailboxes: Iterable[Mailbox],
    *,
    is_present: bool = True,
    on_result: Callable[[Mailbox, Result], None],
) -> list[ProviderError]:
    """`apply_account` for each, five at a time; what may be tried again is answered.

    `on_result` is called in the caller's thread as each is known. One that cannot be blocks no
    other; but after a rate limit, or when nobody answers, the rest is not tried. Raises what is
    wrong with the whole vendor's account, such as a revoked key.
    """
    left = iter(mailboxes)
    troubles: list[ProviderError] = []
    lasting: ProviderError | None = None
    silences, stopped = 0, False
    running: dict[Future[AccountState], Mailbox] = {}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        while True:
            while not stopped and len(running) < AT_ONCE and (mailbox := next(left, None)):
                account = wanted(mailbox, is_present=is_present)
                running[pool.submit(provider.apply_account, account)] = mailbox
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                mailbox, result = running.pop(future), _outcome(future)
                if isinstance(result, ProviderError):
                    silences += 1
                    if result.retryable or result.ambiguous:
                        troubles.append(result)
                    else:
                        lasting = result
                    stopped = stopped or lasting is not None or _is_enough(result, silences)
                else:
                    silences = 0
                on_result(mailbox, result)
    if lasting:
        raise lasting
    return troubles


def _outcome(future: Future[AccountState]) -> Result:
    try:
        return future.result()
    except ProviderError as error:
        return error


def _is_enough(error: ProviderError, silences: int) -> bool:
    return error.error_code == "RATE_LIMITED" or silences >= SILENCES


def note(mailbox: Mailbox, result: Result, rows: MailboxQuerySet) -> bool:
    """Write down what came of one account; False for one that the vendor refused for good.

    `rows`: those that may still be changed, so that who was deleted meanwhile is left alone. What
    a refusal makes of the mailbox is for the caller.
    """
    row = rows.filter(pk=mailbox.pk)
    now = timezone.now()
    if isinstance(result, ProviderError):
        row.update(error_code=result.error_code, error_message=result.message, updated_at=now)
        return True
    if result.outcome == "matches":
        row.update(remote_id=result.remote_id, error_code="", error_message="", updated_at=now)
        # Only if it was not changed again since it was told.
        row.filter(sealed_password=mailbox.sealed_password).update(password_pending=False)
        return True
    if result.outcome == "conflicts":
        say(f"{mailbox}: {result.detail}", level="error")
        return False
    row.update(error_code="NO_ANSWER", error_message=result.detail, updated_at=now)
    return True


def raise_troubles(troubles: Sequence[ProviderError], total: int, what: str) -> None:
    """Have the engine come back later, at the earliest when the vendor allows it."""
    if not troubles:
        return
    first = troubles[0]
    raise ProviderError(
        first.error_code,
        f"{len(troubles)} of {total} accounts could not be {what} yet. {first.message}",
        retryable=True,
        retry_after=max((error.retry_after or 0.0 for error in troubles), default=0.0) or None,
    )
