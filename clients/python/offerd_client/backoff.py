"""How long to wait before the next attempt."""

import random


def pause(options, failures, retry_delay=0.0):
    """Seconds after the nth failure in a row: doubled each time, somewhere between half and all of it so that callers that failed
    together do not come back together; never shorter than the server asked for."""
    longest = min(options.first_backoff * 2 ** min(failures - 1, 30), options.max_backoff)
    return max(longest * random.uniform(0.5, 1.0), retry_delay)
