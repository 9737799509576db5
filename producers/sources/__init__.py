"""Sources: pure functions from one line of a mail system's log to an event, an ignore rule, or a reason.

A source takes the text of a line behind its header, as bytes, and gives one of
    an event of `producers.events`   the line carries envelope facts
    Ignored(rule)                    the line is known to carry none
    NotUnderstood(reason)            no rule knows it: counted, never a stop
It keeps no state, reads no clock, and never raises on any bytes. `header` finds where the text begins; `route`
decides which source a line belongs to.
"""
