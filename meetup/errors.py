"""The family of refusals: each has a stable code and parameters, no words for people and no HTTP."""

from collections.abc import Mapping


class Refusal(Exception):
    """Something that the rules do not allow; `code` is stable, `parameters` fill the words made elsewhere."""

    code = "refused"

    def __init__(self, code: str | None = None, **parameters: object) -> None:
        self.code = code or type(self).code
        self.parameters: Mapping[str, object] = parameters
        super().__init__(self.code)


class NotFound(Refusal):
    """It is not there, or it is not yours: the two look alike (rules 5.2)."""

    code = "not_found"


class Gone(Refusal):
    """It was there and can no longer be used, such as a pairing link."""

    code = "pairing_gone"


class Unauthenticated(Refusal):
    """The caller has not shown who it is."""

    code = "unauthenticated"


class NotAllowed(Refusal):
    """The caller is known and may not do this."""

    code = "not_allowed"


class Invalid(Refusal):
    """Bad input: `errors` names each field and the codes of what is wrong with it."""

    code = "invalid"

    def __init__(self, errors: Mapping[str, list[str]], code: str | None = None) -> None:
        super().__init__(code)
        self.errors = errors


class Conflict(Refusal):
    """The state of things does not allow it now."""

    code = "conflict"


class Closed(Refusal):
    """The door for this is shut: not yet open, closed, ended or full."""

    code = "closed"


class TooMany(Refusal):
    """A limit was reached; the caller may come back after `retry_after_seconds`."""

    code = "too_many"

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__(retry_after_seconds=retry_after_seconds)
        self.retry_after_seconds = retry_after_seconds


class ProofNeeded(TooMany):
    """More registrations come from one address than its ceiling allows; `challenge` is the work that lets one pass.

    `may_confirm_by_mail` says whether a mail to the attendee does as well.
    """

    code = "proof_needed"

    def __init__(
        self, retry_after_seconds: int, challenge: Mapping[str, str | int], *, may_confirm_by_mail: bool
    ) -> None:
        super().__init__(retry_after_seconds)
        self.parameters = {
            **self.parameters,
            "challenge": dict(challenge),
            "may_confirm_by_mail": may_confirm_by_mail,
        }


class Busy(Refusal):
    """The database is locked, full or away: nothing was written, and it may be tried again."""

    code = "busy"
    retry_after_seconds = 2


class Waiting(Busy):
    """The caller stands in the waiting room's line; nothing was written, and its turn comes."""

    code = "waiting"

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__()
        self.retry_after_seconds = retry_after_seconds


class Overloaded(Busy):
    """More comes in than can be worked off; the caller may come back after `retry_after_seconds`."""

    code = "overloaded"

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__(retry_after_seconds=retry_after_seconds)
        self.retry_after_seconds = retry_after_seconds
