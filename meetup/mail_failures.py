"""Why a mail was not taken, told apart by who can mend it (rules 3.3)."""


class MailFailure(Exception):
    """A mail was not taken; `reason` is one line for the organiser, such as "451 4.7.1 try later"."""

    @property
    def reason(self) -> str:
        return str(self.args[0])


class TemporaryFailure(MailFailure):
    """The same mail may pass later: 4xx, no connection, TLS, time-out, cut before the answer."""


class PermanentFailure(MailFailure):
    """This mail to this address will never pass: 5xx at the recipient or the content."""


class OwnFault(MailFailure):
    """The server refuses us, not the mail: sign-in, sender or relaying. Stop the queue, keep its rows."""
