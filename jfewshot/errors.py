"""One kind of error for what a user can mend."""


class UserError(ValueError):
    """Something that the user gave or must mend.

    The message says what was seen, what is needed, and what to do next, in one or two lines;
    nobody needs a traceback to act on it.
    """
